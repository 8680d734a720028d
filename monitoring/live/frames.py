"""The JSON frames of /ws/live, each built in one place. docs/contracts.md, section 5, is the contract.

What is published on the broker lacks `topic` and `n`: the hub of each web process adds the topic once, and
each viewer's own number.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec
from websockets.frames import Frame, Opcode

from monitoring.plain import numbers

# The ASGI extension of a server that takes websocket frames made here.
EXTENSION = "scaleweb.frames"
encoder = msgspec.json.Encoder()
# More than this in one message is not sent: viewers are told to read the store, which draws it bounded.
MAX_POINTS = 20_000
MAX_LINES = 2_000
OPEN_LINES_SECONDS = 30


class ColumnFrame(TypedDict):
    step: list[int]
    time: list[float]
    value: list[float | str]


class PointsFrame(TypedDict):
    type: Literal["points"]
    branch: int
    columns: dict[str, ColumnFrame]


class LinesFrame(TypedDict):
    type: Literal["lines"]
    lines: list[tuple[float, str, str]]


class OpenLinesFrame(TypedDict):
    """The lines that one sender (a process, or a job's part) is writing and has not ended; all of them, maybe none.

    whose: "rank 0" or a node's name, of a run of several; "" of one alone. at: by the server's clock. What stands is
    told again now and then: it is over where OPEN_LINES_SECONDS pass without.
    """

    type: Literal["open_lines"]
    sender: str
    whose: str
    at: float
    lines: list[tuple[float, str, str]]


class ChangedFrame(TypedDict):
    type: Literal["changed"]
    what: str
    at: float
    data: dict[str, Any]


class LostFrame(TypedDict):
    """Messages of this topic were lost on their way to the server: read the store again."""

    type: Literal["lost"]


class SubscribedFrame(TypedDict):
    type: Literal["subscribed"]
    topics: list[str]
    refused: list[str]


class PongFrame(TypedDict):
    type: Literal["pong"]


class ErrorFrame(TypedDict):
    type: Literal["error"]
    message: str


LOST: LostFrame = {"type": "lost"}


def encode(frame: object) -> bytes:
    return encoder.encode(frame)


def points(branch: int, columns: Iterable[tuple[str, list[int], list[float], list[float]]]) -> bytes:
    """A points message: columns are (key, steps, times, values); a key that comes twice is joined."""
    joined: dict[str, ColumnFrame] = {}
    count = 0
    for key, steps, times, values in columns:
        count += len(steps)
        have = joined.get(key)
        if have is None:
            joined[key] = {"step": steps, "time": times, "value": numbers(values)}
        else:
            joined[key] = {
                "step": have["step"] + steps,
                "time": have["time"] + times,
                "value": have["value"] + numbers(values),
            }
    if count > MAX_POINTS:
        return encode(LOST)
    frame: PointsFrame = {"type": "points", "branch": branch, "columns": joined}
    return encode(frame)


def lines(found: list[tuple[float, str, str]]) -> bytes:
    if len(found) > MAX_LINES:
        return encode(LOST)
    frame: LinesFrame = {"type": "lines", "lines": found}
    return encode(frame)


def open_lines(sender: str, whose: str, at: float, found: list[tuple[float, str, str]]) -> bytes:
    frame: OpenLinesFrame = {"type": "open_lines", "sender": sender, "whose": whose, "at": at, "lines": found}
    return encode(frame)


class Message(NamedTuple):
    """A frame as viewers get it: as text, and as a websocket frame that is written to many as it is."""

    text: bytes
    framed: bytes


def message(text: bytes) -> Message:
    return Message(text, Frame(Opcode.TEXT, text).serialize(mask=False))


def with_topic(topic: str, body: bytes) -> bytes:
    """A published message with its topic, short of the opening brace: done once for all viewers."""
    return b'"topic":' + encoder.encode(topic) + b"," + body[1:]


def numbered(n: int, rest: bytes) -> Message:
    """The frame as one viewer gets it."""
    return message(b'{"n":%d,%b' % (n, rest))
