"""A long answer in pieces, without holding all of it: a plain iterator as the server at hand wants it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse


def streamed(request: HttpRequest, pieces: Iterator[Any], content_type: str) -> StreamingHttpResponse:
    """Under ASGI Django reads a plain iterator to its end before it sends the first piece; so it gets another."""
    content = each_in_a_thread(pieces) if isinstance(request, ASGIRequest) else pieces
    return StreamingHttpResponse(content, content_type=content_type)


async def each_in_a_thread(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    def advance() -> Any:
        return next(pieces, None)

    while (piece := await sync_to_async(advance)()) is not None:
        yield piece
