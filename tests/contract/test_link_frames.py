"""What SDKs in the field say: frames as version 0.1.0 wrote them, kept as bytes, are understood for ever.

The file is never written anew: a change that makes one of these fail needs a new PROTOCOL_VERSION.
"""

import json
from pathlib import Path

import msgspec
import pytest

from scaleweb_sdk.protocol import (
    SERVER_KNOWS,
    Batch,
    Column,
    Event,
    Hello,
    LogLine,
    Order,
    PackedColumn,
    Welcome,
    decode_down,
    decode_up,
    encode,
)
from training.link import frames

KEPT = json.loads((Path(__file__).parent / "fixtures" / "link" / "protocol-1.json").read_text())
SAID = {
    "hello, least": Hello(1, "0" * 32, "python-0.1.0", "run:abc"),
    "hello, all": Hello(
        1, "0" * 32, "python-0.1.0", "node:n1", "agent", 1, 2, 7, 3, {"pid": 9, "argv": ["a"]}, 1700000000.5
    ),
    "batch, least": Batch(1),
    "batch, all": Batch(
        2,
        1,
        [Column("loss", [1, 2], [1700000000.5, 1700000001.5], [0.5, float("inf")])],
        [PackedColumn("acc", bytes(8), bytes(8), bytes(8))],
        [LogLine(1700000000.5, "stdout", "größe 🙂")],
        [Event("note", 1700000000.5, 3, {"message": "x"}), Event("finish", 1700000001.5)],
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_frame_of_the_first_sdk_is_understood_as_it_was_meant(name):
    assert decode_up(bytes.fromhex(KEPT[name])) == SAID[name]


def test_every_frame_that_the_first_sdk_says_is_kept():
    assert KEPT.keys() == SAID.keys()


@pytest.mark.parametrize("name", ["hello, all", "batch, all"])
def test_what_a_newer_sdk_adds_is_passed_over(name):
    """A field more in each map and each list that stands for one."""

    def add(value):
        if isinstance(value, dict) and "type" in value:
            return {each: add(inner) for each, inner in value.items()} | {"added_later": [1, {"a": None}]}
        if isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str | float):
            return [*value, "added later"]
        return [add(each) for each in value] if isinstance(value, list) else value

    newer = msgspec.msgpack.encode(add(msgspec.msgpack.decode(bytes.fromhex(KEPT[name]))))
    assert decode_up(newer) == SAID[name]
    if name.startswith("hello"):
        assert frames.check_hello(frames.decode(newer)) == SAID[name]


def test_a_server_tells_what_it_takes_in_a_welcome_that_the_first_sdk_understands():
    class FirstWelcome(msgspec.Struct, tag="welcome"):
        last_seq: int
        branch: int
        server_time: float

    newer = encode(Welcome(7, 1, 1700000000.5, list(SERVER_KNOWS)))
    assert msgspec.msgpack.decode(newer, type=FirstWelcome) == FirstWelcome(7, 1, 1700000000.5)
    first = msgspec.msgpack.encode(FirstWelcome(7, 1, 1700000000.5))
    assert decode_down(first) == Welcome(7, 1, 1700000000.5)


def test_an_order_of_a_newer_server_is_understood_without_what_was_added():
    newer = {"type": "orders", "orders": [{"seq": 1, "verb": "pause", "priority": 9}], "more": 1}
    assert decode_down(msgspec.msgpack.encode(newer)).orders == [Order(1, "pause")]
