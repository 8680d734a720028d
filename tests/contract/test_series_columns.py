"""The typed arrays of series/read, written by the code that answers, kept as files that the front end's tests read.

After a change on purpose: SCALEWEB_WRITE_FIXTURES=1 python -m pytest tests/contract, and look at the diff.
"""

import json
import math
import os
import struct
from pathlib import Path

import numpy as np

from monitoring.api import columns
from monitoring.storage import buckets, rollups
from monitoring.storage.batches import Points

FOLDER = Path(__file__).parent / "fixtures" / "series"
TIME = 1795450000.25


def points(steps, values) -> Points:
    return Points(
        np.array(steps, np.int64), np.array([TIME + step for step in steps]), np.array(values, np.float64)
    )


def answer() -> list[buckets.Buckets]:
    exact = points([1, 2, 2, 3, 2**53], [0.5, math.nan, math.inf, -math.inf, -0.0])
    rolled = rollups.of_points(
        *points(range(10), [0.1, 0.2, math.nan, math.nan, math.nan, math.nan, 5, 6, 7, -math.inf]), 1
    )
    tall = rollups.of_points(*points(range(4), [1e308, 1e308, 1, 2]), 1)
    finite = buckets.of_points("node:gpu-1", "reward 🙂", 2, True, points([7], [1e-300]))
    none = buckets.of_points("run:k7m2x9pqr", "empty", 0, False, points([], []))
    by_time = buckets.of_rows("run:k7m2x9pqr", "train/loss", 1, False, rolled)
    return [
        buckets.of_points("run:k7m2x9pqr", "loss", 0, False, exact),
        buckets.on_axis(by_time, "relative", by_time.columns["time"] - TIME),
        buckets.of_rows("run:k7m2x9pqr", "too high to add", 0, False, tall),
        finite,
        none,
    ]  # fmt: skip


def decode(body: bytes) -> list[dict]:
    """What a browser does, from the contract's text alone."""
    magic, length = struct.unpack_from("<4sI", body)
    assert magic == b"SWC\x01"
    assert (8 + length) % 8 == 0
    found = json.loads(body[8 : 8 + length])["series"]
    for one in found:
        for name, offset in one["columns"].items():
            assert offset % 8 == 0
            one["columns"][name] = np.frombuffer(body, "<f8", one["length"], 8 + length + offset).tolist()
        del one["length"]
    return found


def as_json(found: list[dict]) -> list[dict]:
    """The JSON answer that says the same."""
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    for one in found:
        for name, column in one["columns"].items():
            missing = "NaN" if name == "last" else None
            one["columns"][name] = [missing if math.isnan(v) else names.get(v, v) for v in column]
    return found


def test_the_files_that_the_front_end_reads_are_what_is_sent():
    body, same = columns.encode(answer()), [part.as_map() for part in answer()]
    if os.environ.get("SCALEWEB_WRITE_FIXTURES"):
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "read.bin").write_bytes(body)
        text = json.dumps({"series": same}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (FOLDER / "read.json").write_text(text)
    assert (FOLDER / "read.bin").read_bytes() == body
    assert json.loads((FOLDER / "read.json").read_text()) == {"series": same}


def test_both_forms_of_the_answer_say_the_same():
    body = (FOLDER / "read.bin").read_bytes()
    assert as_json(decode(body)) == json.loads((FOLDER / "read.json").read_text())["series"]


def test_columns_that_are_equal_by_nature_are_written_once():
    body = columns.encode(answer()[3:4])
    length = struct.unpack_from("<4sI", body)[1]
    # One point: step, time, value, count. x is the step; least, greatest and mean are the value.
    assert len(body) == 8 + length + 4 * 8


def test_an_answer_without_series_is_a_head_alone():
    assert decode(columns.encode([])) == []
