"""What a frame must be before anything of it is stored."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from scaleweb_sdk.protocol import (
    MAX_FRAME_BYTES,
    MAX_KEY_LENGTH,
    MAX_KEYS_PER_RUN,
    MAX_STEP,
    OLDEST_PROTOCOL,
    PROTOCOL_VERSION,
    Batch,
    Hello,
    LogLine,
    Up,
    decode_up,
)

from .refusal import Refused

CONTROL = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f]")
SESSION = re.compile(r"[0-9A-Za-z_.-]{8,64}")
ROLES = {"process", "supervisor", "agent"}
MAX_RANKS = 100_000
MAX_TIME = 1e11  # the year 5138: beyond it a time is a mistake in units
MAX_BRANCH = 2**31


@dataclass(frozen=True)
class Points:
    """A batch's figures, found while it was checked. `newest`: the last value of each key.

    lows, highs: the least and greatest finite value of each key that has one.
    """

    count: int
    lines: int
    last_step: int | None
    newest: dict[str, float]
    latest: float | None  # the latest of its times
    lows: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)


def decode(raw: bytes | None) -> Up:
    """The frame in these bytes. Raises Refused: too_large, bad_frame."""
    if raw is None:
        raise Refused("bad_frame", "the frame is text; expected MessagePack in a binary frame", final=True)
    if len(raw) > MAX_FRAME_BYTES:
        raise Refused(
            "too_large", f"the frame has {len(raw)} bytes; at most {MAX_FRAME_BYTES} are taken", final=True
        )
    try:
        frame: Up = decode_up(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused("bad_frame", f"the frame cannot be decoded: {error}", final=True) from None
    return frame


def check_hello(frame: Up) -> Hello:
    """The frame as a usable Hello. Raises Refused."""
    if not isinstance(frame, Hello):
        raise bad(f"the first frame is {type(frame).__name__}; expected hello")
    if not OLDEST_PROTOCOL <= frame.protocol <= PROTOCOL_VERSION:
        remedy = "upgrade the server" if frame.protocol > PROTOCOL_VERSION else "upgrade the SDK"
        raise Refused(
            "protocol",
            f"the SDK {frame.sdk:.40} speaks protocol {frame.protocol:.0f}, this server {spoken()}; "
            f"{remedy}, or install the SDK of the server's version",
            final=True,
        )
    if not SESSION.fullmatch(frame.session):
        raise bad(f"session={frame.session!r:.80}; expected 8 to 64 letters, digits, '-', '_' or '.'")
    if frame.role not in ROLES:
        raise bad(f"role={frame.role!r:.40}; expected process, supervisor or agent")
    if not 0 <= frame.rank < frame.world_size <= MAX_RANKS:
        raise bad(f"rank={frame.rank} of world_size={frame.world_size}; expected 0 <= rank < world_size")
    if not 0 <= frame.applied_seq < 2**63 or not 0 <= frame.attempt < 2**31:
        raise bad(f"applied_seq={frame.applied_seq} attempt={frame.attempt}; expected 0 or more")
    return frame


def spoken() -> str:
    return (
        f"{OLDEST_PROTOCOL} to {PROTOCOL_VERSION}"
        if OLDEST_PROTOCOL < PROTOCOL_VERSION
        else f"{PROTOCOL_VERSION}"
    )


def check_batch(frame: Up, keys: set[str]) -> Points:
    """Figures of a usable batch. `keys`: those seen so far, to which the batch's are added.

    Raises Refused before it changes `keys`.
    """
    if not isinstance(frame, Batch):
        raise bad("a second hello; expected batches after the first")
    if not 1 <= frame.seq < 2**63:
        raise bad(f"seq={frame.seq}; batches are numbered from 1")
    if not 0 <= frame.branch < MAX_BRANCH:
        raise bad(f"branch={frame.branch}; expected 0 or more")
    count, last_step, newest = 0, None, {}
    latest: float | None = None
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for column in frame.columns:
        steps = column.steps
        check_key(column.key)
        check_lengths(column.key, len(steps), len(column.times), len(column.values))
        if steps:
            highest = check_range(column.key, min(steps), max(steps))
            time = check_times(column.key, sum(column.times), min(column.times), max(column.times))
            latest = time if latest is None else max(latest, time)
            last_step = highest if last_step is None else max(last_step, highest)
            newest[column.key] = column.values[-1]
            note_range(column.key, np.asarray(column.values, float), lows, highs)
            count += len(steps)
    for packed in frame.packed:
        check_key(packed.key)
        check_lengths(packed.key, len(packed.steps), len(packed.times), len(packed.values))
        if len(packed.steps) % 8:
            raise bad(f"the packed column {packed.key!r} has {len(packed.steps)} bytes; expected 8 a point")
        if packed.steps:
            steps_array = np.frombuffer(packed.steps, "<i8")
            times_array = np.frombuffer(packed.times, "<f8")
            highest = check_range(packed.key, int(steps_array.min()), int(steps_array.max()))
            low, high = float(times_array.min()), float(times_array.max())
            time = check_times(packed.key, low + high, low, high)
            latest = time if latest is None else max(latest, time)
            last_step = highest if last_step is None else max(last_step, highest)
            values = np.frombuffer(packed.values, "<f8")
            newest[packed.key] = float(values[-1])
            note_range(packed.key, values, lows, highs)
            count += len(steps_array)
    check_lines(frame.lines)
    check_number_of_keys(keys, newest)
    return Points(count, len(frame.lines), last_step, newest, latest, lows, highs)


def note_range(key: str, values: np.ndarray, lows: dict[str, float], highs: dict[str, float]) -> None:
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
    widen(lows, highs, key, low, high)


def widen(lows: dict[str, float], highs: dict[str, float], key: str, low: float, high: float) -> None:
    lows[key] = min(low, lows.get(key, low))
    highs[key] = max(high, highs.get(key, high))


def check_key(key: str) -> None:
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise bad(f"the key {key[:60]!r} has {len(key)} characters; expected 1 to {MAX_KEY_LENGTH}")
    if CONTROL.search(key):
        raise bad(f"the key {key[:60]!r} holds a control character")


def check_lengths(key: str, *lengths: int) -> None:
    if len(set(lengths)) != 1:
        steps, times, values = lengths
        raise bad(
            f"the column {key[:60]!r} has {steps} steps, {times} times, {values} values; expected equals"
        )


def check_range(key: str, low: int, high: int) -> int:
    if low < 0 or high > MAX_STEP:
        wrong = low if low < 0 else high
        raise bad(f"the key {key[:60]!r} has step {wrong}; expected 0 to 2^53")
    return high


def check_times(key: str, total: float, low: float, high: float) -> float:
    # `total` is what finds a NaN, which no comparison would.
    if not math.isfinite(total) or low < 0 or high > MAX_TIME:
        raise bad(f"the key {key[:60]!r} has times {low}..{high}; expected seconds since the epoch")
    return high


def check_lines(lines: Iterable[LogLine]) -> None:
    for line in lines:
        if not math.isfinite(line.time) or len(line.stream) > 20 or CONTROL.search(line.stream):
            raise bad(
                f"a log line has time={line.time} stream={line.stream!r:.40}; expected stdout or stderr"
            )


def check_number_of_keys(keys: set[str], new: dict[str, float]) -> None:
    if not new.keys() <= keys:
        total = len(keys | new.keys())
        if total > MAX_KEYS_PER_RUN:
            raise bad(f"the run would have {total} keys; at most {MAX_KEYS_PER_RUN} are kept")
        keys.update(new)


def columns_of(batch: Batch) -> Sequence[tuple[str, list[int], list[float], list[float]]]:
    """The batch's points as lists, packed ones too."""
    plain_columns = [(column.key, column.steps, column.times, column.values) for column in batch.columns]
    return plain_columns + [
        (
            packed.key,
            np.frombuffer(packed.steps, "<i8").tolist(),
            np.frombuffer(packed.times, "<f8").tolist(),
            np.frombuffer(packed.values, "<f8").tolist(),
        )
        for packed in batch.packed
    ]


def bad(message: str) -> Refused:
    return Refused("bad_frame", message, final=True)
