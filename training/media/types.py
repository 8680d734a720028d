"""What a file is, by its first bytes: no sender's word for it is taken, because browsers act on it."""

HEAD_BYTES = 64
OCTETS = "application/octet-stream"
IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
SOUNDS = {b"fLaC": "audio/flac", b"OggS": "audio/ogg", b"ID3": "audio/mpeg", b"\xff\xfb": "audio/mpeg",
          b"\xff\xf3": "audio/mpeg", b"\xff\xf2": "audio/mpeg"}  # fmt: skip
EXPECTED = {"image": "PNG, JPEG, GIF or WebP", "audio": "WAV, FLAC, Ogg or MP3"}


class WrongType(Exception):
    """The bytes are not of the kind that they were logged as."""


def content_type(kind: str, head: bytes) -> str:
    """The media type that the bytes are served as. Raises WrongType."""
    if kind == "table":
        return "application/json"
    if kind == "text":
        return "text/plain; charset=utf-8"
    if kind == "file":
        return OCTETS
    riff = head[8:12] if head[:4] == b"RIFF" else b""
    found = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(riff) or next(
        (name for mark, name in (IMAGES | SOUNDS).items() if head.startswith(mark)), ""
    )
    if not found.startswith(f"{kind}/"):
        raise WrongType(f"not {EXPECTED[kind]}: it begins with {head[:8]!r}")
    return found
