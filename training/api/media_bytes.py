"""A file of a run as an HTTP answer: whole or a range, with headers under which nothing of it is executed."""

import re
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from rest_framework.exceptions import NotFound

from training.media import files
from training.media.types import OCTETS
from training.models import Media

from .streaming import streamed

RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def answer(request: Any, code: str, row: Media, download: bool) -> Any:
    """Raises NotFound where the bytes are gone from the disk."""
    size = files.size(code, row.sha256)
    if size is None:
        raise NotFound("its bytes are not on the server's disk any more")
    headers = {
        "Content-Type": row.content_type,
        "X-Content-Type-Options": "nosniff",
        # Opened by its address it is a document of its own: it may run, load and be nothing.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        # The bytes of an id never change; nobody but this person's browser keeps them.
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{row.sha256}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(row, download),
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return HttpResponse(status=304, headers=headers)
    found = span(request.headers.get("Range", ""), size)
    if found is None:
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    start, count = found
    response = streamed(request, files.pieces(code, row.sha256, start, count), row.content_type)
    for name, value in headers.items():
        response[name] = value
    response["Content-Length"] = str(count)
    if count < size:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{start + count - 1}/{size}"
    return response


def span(header: str, size: int) -> tuple[int, int] | None:
    """(start, count) that a Range header asks for; all of it for what is no single range; None outside the file."""
    asked = RANGE.fullmatch(header.strip())
    if asked is None or asked.group(1) == asked.group(2) == "":
        return 0, size
    first, last = asked.groups()
    if not first:
        count = min(int(last), size)
        return (size - count, count) if count else None
    start, end = int(first), min(int(last) if last else size - 1, size - 1)
    return (start, end - start + 1) if start <= end else None


def disposition(row: Media, download: bool) -> str:
    kind = "attachment" if download or row.content_type == OCTETS else "inline"
    suffix = {"application/json": "json", "text/plain; charset=utf-8": "txt"}.get(row.content_type)
    name = row.name or f"{row.key}-{row.step}.{suffix or row.content_type.rpartition('/')[2]}"
    return f"{kind}; filename*=UTF-8''{quote(name.replace('/', '_'), safe='')}"
