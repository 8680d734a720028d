"""Whatever bytes come up the link: a usable frame, or a reason in words; never a crash, never half a batch."""

import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitoring.live import frames as live_frames
from monitoring.storage.batches import pack
from scaleweb_sdk.protocol import (
    MAX_FRAME_BYTES,
    MAX_KEY_LENGTH,
    MAX_STEP,
    Batch,
    Column,
    Event,
    Hello,
    LogLine,
    OpenLines,
    PackedColumn,
    encode,
)
from training.link import frames, open_lines
from training.link.figures import RunFigures
from training.link.refusal import CLOSE_CODES, OTHER_CLOSE_CODE, Refused

CODES = {"bad_frame", "too_large", "protocol"}
quick = settings(max_examples=150, database=None, derandomize=True)

numbers = st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from([0, -1, MAX_STEP, MAX_STEP + 1])
texts = st.text(max_size=MAX_KEY_LENGTH + 5)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@st.composite
def good_columns(draw):
    count = draw(st.integers(0, 5))
    steps = st.lists(st.integers(0, MAX_STEP), min_size=count, max_size=count)
    times = st.lists(st.floats(0, 1e10), min_size=count, max_size=count)
    values = st.lists(st.floats(), min_size=count, max_size=count)
    return Column(draw(st.text("abc/_ü🙂", min_size=1, max_size=8)), draw(steps), draw(times), draw(values))


def packed(column):
    count = len(column.steps)
    return PackedColumn(
        column.key,
        struct.pack(f"<{count}q", *column.steps),
        struct.pack(f"<{count}d", *column.times),
        struct.pack(f"<{count}d", *column.values),
    )


good_batches = st.builds(
    Batch,
    seq=st.integers(1, 2**63 - 1),
    branch=st.integers(0, 2**31 - 1),
    columns=st.lists(good_columns(), max_size=4),
    packed=st.lists(good_columns().map(packed), max_size=2),
    lines=st.lists(st.builds(LogLine, st.floats(0, 1e10), st.just("stdout"), st.text(max_size=20)), max_size=3),
    events=st.lists(st.builds(Event, st.just("note"), st.floats(0, 1e10)), max_size=2),
)  # fmt: skip
# The right shape with the wrong things in it: what a client in another language sends while it is written.
near_frames = st.fixed_dictionaries(
    {"type": st.sampled_from(["batch", "hello", "open_lines", "dance"]) | plain},
    optional={
        "seq": numbers, "branch": numbers, "protocol": numbers, "session": texts, "sdk": texts, "source": texts,
        "role": texts, "rank": numbers, "world_size": numbers, "applied_seq": numbers, "attempt": numbers,
        "clock": numbers, "process": plain, "later": plain,
        "columns": st.lists(st.tuples(texts, *[st.lists(numbers)] * 3), max_size=3) | plain,
        "packed": st.lists(st.tuples(texts, *[st.binary(max_size=17)] * 3), max_size=3) | plain,
        "lines": st.lists(st.tuples(numbers, texts, texts), max_size=3) | plain,
        "events": st.lists(st.fixed_dictionaries({"kind": texts, "time": numbers, "data": plain}), max_size=2),
    },
)  # fmt: skip


def encoded(value) -> bytes:
    """MessagePack of it; integers beyond its 64 bits go as floats."""

    def fit(value):
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return float(value)
        if isinstance(value, list | tuple):
            return [fit(each) for each in value]
        if isinstance(value, dict):
            return {key: fit(each) for key, each in value.items()}
        return value

    return encode(fit(value))


def judged(raw: bytes):
    """What the link makes of a frame: its Hello, its (Batch, Points), the frame of open lines, or the Refused."""
    keys = {"known"}
    try:
        frame = frames.decode(raw)
        if isinstance(frame, Hello):
            return frames.check_hello(frame)
        if isinstance(frame, OpenLines):
            return live_frames.open_lines("s" * 32, 0.0, open_lines.checked(frame))
        return frame, frames.check_batch(frame, keys)
    except Refused as error:
        refused = error
    assert refused.code in CODES
    assert refused.final
    assert CLOSE_CODES.get(refused.code, OTHER_CLOSE_CODE) >= 4000
    assert 0 < len(refused.message) < 600
    encode(refused.frame)  # it travels
    assert keys == {"known"}, "a refused batch left its keys behind"
    return refused


def assert_usable(found):
    """What was let in can be stored, shown and summed up."""
    if isinstance(found, Refused | Hello | bytes):
        return
    batch, points = found
    _, count = pack(batch)
    assert count == points.count
    assert points.newest.keys() <= {column.key for column in [*batch.columns, *batch.packed]}
    live_frames.points(batch.branch, frames.columns_of(batch))
    RunFigures(1, "r", 1).add(batch.branch, points)


@quick
@given(good_batches)
def test_every_good_batch_is_taken_whole(batch):
    found = judged(encode(batch))
    assert not isinstance(found, Refused)
    assert_usable(found)
    assert found[1].count == sum(len(c.steps) for c in batch.columns) + sum(
        len(c.steps) // 8 for c in batch.packed
    )


@quick
@given(near_frames)
@example({"type": "hello", "protocol": math.nan})
def test_a_frame_of_nearly_the_right_shape_is_used_or_refused_in_words(frame):
    assert_usable(judged(encoded(frame)))


@quick
@given(good_batches, st.data())
def test_a_frame_cut_short_or_with_a_byte_changed_is_used_or_refused_in_words(batch, data):
    whole = encode(batch)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert isinstance(judged(cut), Refused)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    assert_usable(judged(changed))


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_in_words(raw):
    assert_usable(judged(raw))


@pytest.mark.parametrize("announced", [2**16, 2**24, 2**30, 2**32 - 1])
@pytest.mark.parametrize("kind", [b"\xdd", b"\xdf", b"\xdb", b"\xc6"], ids=["list", "map", "text", "bytes"])
def test_a_length_that_lies_costs_nothing(kind, announced):
    """In each place of a batch where a length stands; a decoder that believed it would ask for gigabytes."""
    lie = kind + struct.pack(">I", announced)
    head = b"\x83\xa4type\xa5batch\xa3seq\x01"
    for place in (
        b"\xa7columns",
        b"\xa7columns\x91\x94\xa4loss",
        b"\xa6packed\x91\x94\xa4loss",
        b"\xa6events\x91\x83\xa4data",
    ):
        refused = judged(head + place + lie)
        assert isinstance(refused, Refused)
        assert "cannot be decoded" in refused.message


def test_a_frame_beyond_the_limit_is_refused_before_it_is_decoded():
    assert judged(b"\xdd" * (MAX_FRAME_BYTES + 1)).code == "too_large"


@quick
@given(
    good_batches.filter(lambda batch: batch.columns), st.sampled_from(["steps", "times", "values"]), st.data()
)
def test_columns_of_unequal_length_are_refused_with_the_lengths(batch, which, data):
    column = data.draw(st.sampled_from(batch.columns))
    getattr(column, which).append(1)
    assert "expected equals" in judged(encode(batch)).message
