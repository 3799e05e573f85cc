"""Who the app's server answers: only its own pages, under a name of this machine."""

import asyncio

import pytest

pytest.importorskip("streamlit", reason="needs Streamlit, the extra 'app'")

from interp.app.server.guard import Guard, allowed_hosts, refusal, security_headers

HOSTS = allowed_hosts(8501)


def why(*headers: tuple[bytes, bytes]) -> str:
    return refusal(headers, HOSTS)


@pytest.mark.parametrize("host", [b"127.0.0.1:8501", b"localhost:8501", b"LOCALHOST:8501"])
def test_the_servers_own_names_are_answered(host):
    assert not why((b"host", host))
    assert not why((b"Host", host), (b"Origin", b"http://" + host))


@pytest.mark.parametrize(
    "host",
    [
        *(
            b"evil.example:8501",
            b"evil.example",
            b"127.0.0.1",
            b"127.0.0.1:8502",
            b"localhost.evil.example:8501",
        ),
        *(b"127.0.0.1:8501@evil.example", b"evil.example#127.0.0.1:8501", b"0.0.0.0:8501", b"", b"\xff"),
    ],
)
def test_another_name_is_refused(host):
    assert "open it at http://127.0.0.1:8501" in why((b"host", host))


def test_no_name_and_two_names_are_refused():
    assert why()
    assert why((b"host", b"127.0.0.1:8501"), (b"host", b"evil.example"))


@pytest.mark.parametrize(
    "origin",
    [
        *(b"http://evil.example", b"http://evil.example:8501", b"https://127.0.0.1:8501", b"null", b""),
        *(b"http://127.0.0.1:3000", b"http://127.0.0.1", b"http://localhost:8501"),  # of other servers here
    ],
)
def test_another_origin_is_refused(origin):
    assert "other sites" in why((b"host", b"127.0.0.1:8501"), (b"origin", origin))


def test_at_port_80_the_name_stands_alone():
    for host in (b"localhost", b"127.0.0.1:80"):
        assert not refusal([(b"host", host), (b"origin", b"http://" + host)], allowed_hosts(80))
    assert refusal([(b"host", b"localhost")], allowed_hosts(8501))


def asked(kind: str, host: bytes) -> tuple[list[dict], bool]:
    """What a guarded application sends, and whether it was asked."""
    sent, reached = [], []

    async def application(scope, receive, send):
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"none")]})

    async def send(message):
        sent.append(message)

    async def receive():
        return {}

    guard = Guard(application, port=8501)
    asyncio.run(guard({"type": kind, "headers": [(b"host", host)]}, receive, send))
    return sent, bool(reached)


def test_what_is_refused_never_reaches_the_app():
    sent, reached = asked("http", b"evil.example:8501")
    assert not reached
    assert sent[0]["status"] == 403
    assert dict(sent[0]["headers"])[b"x-frame-options"] == b"DENY"
    sent, reached = asked("websocket", b"evil.example:8501")
    assert not reached
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_every_answer_has_the_headers_once():
    sent, reached = asked("http", b"localhost:8501")
    assert reached
    headers = [(name.lower(), value) for name, value in sent[0]["headers"]]
    assert len({name for name, _ in headers}) == len(headers)
    assert dict(headers)[b"x-frame-options"] == b"DENY"


def test_the_policy_names_nobody_else():
    policy = dict(
        rule.split(" ", 1) for rule in security_headers(8501)["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8501 ws://localhost:8501"
    assert "unsafe" not in policy["script-src"]
    places = {word for rule in policy.values() for word in rule.split() if "//" in word}
    assert places == {"ws://127.0.0.1:8501", "ws://localhost:8501"}
