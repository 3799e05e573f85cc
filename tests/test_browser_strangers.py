"""What another site can do to the app, tried in a real browser: nothing (skipped where it is missing)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from browser import FLAGS, FRANCE, HOST, chromium_path, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page

STRANGER = "stranger.example"  # a name that the browser takes to this machine
OPEN_SOCKET = """address => new Promise(done => {
    const socket = new WebSocket(address, ["streamlit"]);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""


@pytest.fixture
def stranger(server, chromium) -> Iterator[Page]:
    """A page in a browser that takes another name to this machine."""
    flags = [*FLAGS, f"--host-resolver-rules=MAP {STRANGER} {HOST}"]
    browser = chromium.browser_type.launch(executable_path=chromium_path(), args=flags)
    yield browser.new_page()
    browser.close()


@contextmanager
def site(body: str) -> Iterator[str]:
    """Another site on this machine, with one page; its address under the stranger's name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    site = HTTPServer((HOST, 0), Handler)
    Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield f"http://{STRANGER}:{site.server_port}/"
    finally:
        site.shutdown()
        site.server_close()


def test_under_another_name_there_is_no_app(stranger, server):
    answer = stranger.goto(server.url.replace(HOST, STRANGER))
    assert answer.status == 403
    assert f"open it at {server.url}" in stranger.inner_text("body")
    assert answer.headers["content-security-policy"]


def test_a_page_of_another_site_opens_no_socket(stranger, server):
    socket = f"ws://{urlsplit(server.url).netloc}/_stcore/stream"
    with site("<title>another</title>") as address:
        stranger.goto(address)
        for host in (HOST, STRANGER, "localhost"):
            assert stranger.evaluate(OPEN_SOCKET, socket.replace(HOST, host)) == "refused"
    stranger.goto(server.url)
    assert stranger.evaluate(OPEN_SOCKET, socket) == "open"


def test_another_site_cannot_frame_the_app(stranger, server):
    with site(f'<iframe src="{server.url}"></iframe>') as address:
        stranger.goto(address, wait_until="load")
        shown = stranger.frames[1].evaluate("document.body.innerText")
    assert shown == "" or "refused" in shown
    assert stranger.frames[1].url.startswith("chrome-error:")


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/_stcore/host-config", "/favicon.png", "/none"])
def test_every_answer_forbids_frames_and_other_places(server, path):
    for host, allowed in ((urlsplit(server.url).netloc, True), (f"{STRANGER}:80", False)):
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status == 403) != allowed
        assert "frame-ancestors 'none'" in answer.getheader("content-security-policy")
        assert answer.getheader("x-content-type-options") == "nosniff"
        connection.close()


def test_a_report_reaches_nothing_of_the_app(open_app, expect, runs):
    page = open_app(page="Runs", run=runs[0])
    frame = page.locator("iframe")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    report = page.frame_locator("iframe")
    expect(report.get_by_role("grid").first).to_be_visible()  # its own script has drawn it
    expect(report.get_by_text(FRANCE).first).to_be_visible()
    inside = frame.element_handle().content_frame()
    assert inside.evaluate("self.origin") == "null"
    assert inside.evaluate(
        "(() => { try { return parent.document.title } catch (e) { return e.name } })()"
    ) == ("SecurityError")
    settled(page)
