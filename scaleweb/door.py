"""What is turned away before any part of the site sees it: foreign hosts and origins, and bodies without end.

Django checks the Host and Origin of HTTP requests itself, but no websocket's; and it writes a body to disk whole,
however long, before it asks who sends it.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from .security import HEADERS

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
# Read and thrown away, so that an honest client that sent a little too much gets to read the answer.
MOST_DISCARDED = 64 * 2**20
REFUSED = 4403


def header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1")).strip()
    return None


def admitted(scope: Scope, browser: bool) -> bool:
    """Whether a websocket's Host is ours and its Origin the same host and port, or a trusted one.

    Another port of the same host is another site, which a browser sends the same cookies from. browser: whether
    an Origin is needed; programs send none.
    """
    host = (header(scope, b"host") or "").lower()
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    origin = header(scope, b"origin")
    if origin is None:
        return not browser
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return False
    return parts.netloc == host or any(trusted(parts, pattern) for pattern in settings.CSRF_TRUSTED_ORIGINS)


def trusted(origin: Any, pattern: str) -> bool:
    """As Django's own check of forms: https://train.example.org, or https://*.example.org."""
    wanted = urlsplit(pattern.lower())
    return origin.scheme == wanted.scheme and is_same_domain(origin.netloc, wanted.netloc.lstrip("*"))


async def turn_away(send: Send) -> None:
    await send({"type": "websocket.close", "code": REFUSED})


def bounded(application: Application) -> Application:
    """The application behind a limit on bodies: 413 as soon as one is longer, and nothing of it is kept."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        declared = header(scope, b"content-length") or ""
        if declared.isdigit() and int(declared) > most:
            await discard(receive)
            return await refuse(send, most)
        read, over = 0, False

        async def counted() -> Message:
            nonlocal read, over
            message = await receive()
            read += len(message.get("body", b""))
            if read <= most:
                return message
            over = True
            if message.get("more_body"):
                await discard(receive)
            # Django drops a request whose sender is gone, and answers nothing.
            return {"type": "http.disconnect"}

        await application(scope, counted, send)
        if over:
            await refuse(send, most)

    return guarded


async def discard(receive: Receive) -> None:
    left = MOST_DISCARDED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body"):
            return


async def refuse(send: Send, most: int) -> None:
    words = f"The body is larger than {most // 2**20} MiB ({most} bytes); send less at a time."
    body = json.dumps({"detail": words, "fields": {}}).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }
    listed = [(name.lower().encode(), value.encode()) for name, value in (HEADERS | headers).items()]
    await send({"type": "http.response.start", "status": 413, "headers": listed})
    await send({"type": "http.response.body", "body": body})
