"""The lines that are being written now, for who begins to look: later ones come as frames."""

import time

import msgspec

from .channels import OPEN_LINES_KEY
from .frames import OPEN_LINES_SECONDS, OpenLinesFrame
from .publish import to_broker

decode = msgspec.json.Decoder(OpenLinesFrame).decode


def standing(topic: str) -> list[OpenLinesFrame]:
    """One of each sender that writes a line now; none while the broker is away."""
    found: dict[bytes, bytes] = {}
    with to_broker() as broker:
        if broker is not None:
            found = broker.hgetall(OPEN_LINES_KEY + topic)  # type: ignore[assignment]
    # A sender whose server was killed has not been taken out.
    since = time.time() - OPEN_LINES_SECONDS
    frames = [frame for body in found.values() if (frame := read(body)) is not None]
    standing = [frame for frame in frames if frame["at"] > since and frame["lines"]]
    return sorted(standing, key=lambda frame: (frame["whose"], frame["sender"]))


def read(body: bytes) -> OpenLinesFrame | None:
    try:
        return decode(body)
    except msgspec.ValidationError:  # of a server of another version, while one takes the other's place
        return None
