"""What the door turns away: websockets of other hosts and origins, and bodies without end."""

import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from scaleweb import door
from tests.support.domain import a_member, a_project
from tests.support.wait import db

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]
MIB = 2**20


def scope(host="127.0.0.1:8000", origin=None):
    headers = [(b"host", host.encode())] if host is not None else []
    return {"headers": [*headers, (b"origin", origin.encode("latin-1"))] if origin is not None else headers}


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("LOCALHOST:8000", "http://localhost:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("127.0.0.1:8000", "http://127.0.0.1:9999", False),  # another site of the same machine
        ("127.0.0.1:8000", "http://localhost:8000", False),
        ("127.0.0.1:8000", "https://evil.example", False),
        ("127.0.0.1:8000", "null", False),
        ("127.0.0.1:8000", "", False),
        ("127.0.0.1:8000", "http://[", False),
        ("127.0.0.1:8000", "file://127.0.0.1:8000", False),
        ("evil.example", "http://evil.example", False),
        ("evil.example", None, False),
        ("127.0.0.1:8000@evil.example", None, False),
        ("", None, False),
        (None, None, False),
        ("127.0.0.1:8000", "https://train.example.org", True),
        ("127.0.0.1:8000", "https://a.team.example.org", True),
        ("127.0.0.1:8000", "http://train.example.org", False),
        ("127.0.0.1:8000", "https://eviltrain.example.org", False),
    ],
)
def test_a_websocket_comes_from_our_own_pages(settings, host, origin, allowed):
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://train.example.org", "https://*.team.example.org"]
    assert door.admitted(scope(host, origin), browser=False) is allowed


def test_a_browser_names_its_origin_and_a_program_need_not():
    assert not door.admitted(scope(), browser=True)
    assert door.admitted(scope(), browser=False)


@pytest.mark.parametrize("path", ["/ws/live", "/link/v1"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1"])
async def test_no_websocket_opens_for_another_origin(live_site, path, origin):
    headers = await db(lambda: live_site.login(a_member(a_project(), "vera", "viewer")))
    with pytest.raises(InvalidStatus):
        await connect(live_site.ws + path, additional_headers=headers | {"Origin": origin})


@pytest.mark.parametrize("path", ["/ws/live", "/link/v1"])
async def test_no_websocket_opens_under_another_host(live_site, path):
    with socket.create_connection(("127.0.0.1", live_site.port)) as raw:
        raw.settimeout(10)
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 403")


def send_body(site, size, chunked, path="/api/v1/runs"):
    """The answer to a body of so many bytes, from a caller without a login."""
    with socket.create_connection(("127.0.0.1", site.port)) as raw:
        raw.settimeout(30)
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        raw.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
        )
        block, sent = b"x" * MIB, 0
        while sent < size:
            raw.sendall(b"%x\r\n%b\r\n" % (MIB, block) if chunked else block)
            sent += MIB
        if chunked:
            raw.sendall(b"0\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
            answer += raw.recv(4096)
        return answer


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_too_long_is_neither_kept_nor_left_unanswered(live_site, chunked, monkeypatch):
    kept = []
    monkeypatch.setattr("django.core.handlers.asgi.ASGIHandler.create_request", lambda *a: kept.append(a))
    answer = send_body(live_site, 9 * MIB, chunked)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"content-security-policy" in answer.lower()
    told = json.loads(answer.split(b"\r\n\r\n")[1])
    assert told == {
        "detail": "The body is larger than 8 MiB (8388608 bytes); send less at a time.",
        "fields": {},
    }
    assert kept == []


def test_a_body_within_the_limit_reaches_the_site(live_site):
    assert send_body(live_site, 8 * MIB, chunked=True).startswith(b"HTTP/1.1 401")
