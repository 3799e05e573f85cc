"""Who may talk to the server: a page of its own, under a name of this machine, at its own port.

A page from elsewhere can send requests to 127.0.0.1, also under a name of its own that it lets point there
(DNS rebinding), and can show the app in a frame of its own. So every request, HTTP or websocket, is refused
whose `Host` is not a name that the server was started for, or whose `Origin` is another; and every answer
forbids frames around it and whatever is not from this server.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]  # these three as ASGI has them
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NAMES = ("127.0.0.1", "localhost")  # what this machine is called by the server and its users
_HTTP_PORT = 80  # browsers leave it out


class Guard:
    """An ASGI application around the server's, which only gets what may be asked."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], *, port: int) -> None:
        self._app = app
        self._hosts = allowed_hosts(port)
        self._headers = [(name.encode(), value.encode()) for name, value in security_headers(port).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif why := refusal(scope["headers"], self._hosts):
            await self._refuse(scope, send, why)
        else:
            await self._app(scope, receive, self._with_headers(send))

    async def _refuse(self, scope: Scope, send: Send, why: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), *self._headers]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": f"{why}\n".encode()})

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in self._headers}
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in ours]
                message = {**message, "headers": [*others, *self._headers]}
            await send(message)

        return send_with_headers


def allowed_hosts(port: int) -> frozenset[str]:
    """The values of `Host` that the server answers."""
    plain = NAMES if port == _HTTP_PORT else ()
    return frozenset((*plain, *(f"{name}:{port}" for name in NAMES)))


def refusal(headers: Iterable[tuple[bytes, bytes]], hosts: frozenset[str]) -> str:
    """Why a request is refused, in a sentence; empty where it is not. A program that is no browser sends no
    `Origin`; two of one header are refused, as it is not clear which of them is meant."""
    given: dict[bytes, list[str]] = {b"host": [], b"origin": []}
    for name, value in headers:
        if name.lower() in given:
            given[name.lower()].append(value.decode("latin-1").lower())
    address = f"http://{min(hosts, key=lambda host: (host.split(':')[0] != NAMES[0], -len(host)))}"
    if len(given[b"host"]) != 1 or given[b"host"][0] not in hosts:
        return f"The app does not answer under this name; open it at {address}."
    if given[b"origin"] and given[b"origin"] != [f"http://{given[b'host'][0]}"]:
        return f"The app does not answer pages of other sites; open it at {address}."
    return ""


@cache
def security_headers(port: int) -> dict[str, str]:
    """The headers of every answer: nothing is loaded from, sent to or framed by anybody else.

    Scripts are the server's files; the components' own, which Streamlit loads as blobs; and those of three
    documents by their hashes: Streamlit's page, a run's report and an attribution graph, whose frames inherit
    these rules.
    """
    from interp.figures.dashboard.parts import graph_script
    from interp.figures.engine.page_parts import SCRIPT

    sockets = " ".join(f"ws://{host}" for host in sorted(allowed_hosts(port)))
    scripts = " ".join(f"'{_hash(script)}'" for script in (*_page_scripts(), SCRIPT, SCRIPT + graph_script()))
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' blob: {scripts}",
        "style-src": "'self' 'unsafe-inline'",  # styles are set on elements everywhere
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' {sockets}",
        "manifest-src": "'self'",
        "frame-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "object-src": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def _page_scripts() -> list[str]:
    """The scripts that stand in Streamlit's own page."""
    import streamlit

    page = Path(streamlit.__file__).parent / "static" / "index.html"
    return re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)


def _hash(script: str) -> str:
    return "sha256-" + b64encode(sha256(script.encode()).digest()).decode()
