"""What the store should say, worked out the slow way from a plain list of points."""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run

KEYS = ["loss", "val/loss", "größe 🎉"]
values = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324]),
)
# Mostly small steps, so that buckets fill and steps repeat; now and then a far one.
steps = st.one_of(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**53))
times = st.floats(1.6e9, 1.9e9)
columns = st.lists(st.tuples(steps, times, values), min_size=1, max_size=30)
batches = st.lists(
    st.tuples(st.integers(0, 2), st.dictionaries(st.sampled_from(KEYS), columns, max_size=3)),
    min_size=1,
    max_size=8,
)


@dataclass(frozen=True)
class Point:
    key: str
    branch: int
    step: int
    time: float
    value: float


def as_batches(made) -> list[Batch]:
    return [
        Batch(
            seq=seq, branch=branch,
            columns=[
                Column(key, [s for s, _, _ in rows], [t for _, t, _ in rows], [v for _, _, v in rows])
                for key, rows in found.items()
            ],
        )
        for seq, (branch, found) in enumerate(made, 1)
    ]  # fmt: skip


def as_points(made) -> list[Point]:
    """In the order in which they arrive."""
    return [
        Point(key, branch, step, time, value)
        for branch, found in made
        for key, rows in found.items()
        for step, time, value in rows
    ]


def same(a: float | None, b: float | None) -> bool:
    """Equal, NaN included, and -0.0 told from 0.0."""
    if a is None or b is None:
        return a is b
    return bool(np.float64(a).tobytes() == np.float64(b).tobytes() or (math.isnan(a) and math.isnan(b)))


def source() -> str:
    return a_run().source
