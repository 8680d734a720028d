"""Everything that goes in comes out, exactly or in buckets, before and after compaction."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring.storage import compact as compaction
from monitoring.storage import series
from monitoring.storage.series import GapError
from scaleweb_sdk.protocol import Batch, Column
from tests.storage.model import KEYS, Point, as_batches, as_points, batches, same

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
numbers = itertools.count()
store = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def put(made, compact_after=()) -> str:
    """A fresh source with these batches, compacted after the given ones."""
    source = f"run:test{next(numbers)}"
    for batch in as_batches(made):
        assert series.append(source, "a" * 32, [batch]) == batch.seq
        if batch.seq in compact_after:
            series.compact(source=source)
    return source


def exact(source) -> list[Point]:
    return [
        Point(column.key, column.branch, *row)
        for column in series.raw(source)
        for row in zip(column.steps.tolist(), column.times.tolist(), column.values.tolist(), strict=True)
    ]


def sorted_model(points) -> list[Point]:
    return sorted(points, key=lambda point: (point.key, point.branch, point.step))


def assert_same_points(found, wanted):
    assert len(found) == len(wanted)
    for have, want in zip(found, wanted, strict=True):
        assert (have.key, have.branch, have.step, have.time) == (want.key, want.branch, want.step, want.time)
        assert same(have.value, want.value)


@store
@given(batches, st.sets(st.integers(1, 8)))
def test_every_point_comes_back_whatever_was_compacted_when(made, compact_after):
    source = put(made, compact_after)
    wanted = sorted_model(as_points(made))
    assert_same_points(exact(source), wanted)
    series.compact(source=source)
    assert_same_points(exact(source), wanted)


@store
@given(batches, st.sets(st.integers(1, 8)))
def test_the_figures_of_a_key_are_those_of_its_points(made, compact_after):
    source = put(made, compact_after)
    by_key = defaultdict(list)
    for point in as_points(made):
        by_key[point.key].append(point)
    infos = {info.key: info for info in series.keys(source)}
    assert infos.keys() == by_key.keys()
    for key, points in by_key.items():
        info, finite = infos[key], [p.value for p in points if math.isfinite(p.value)]
        assert (info.points, info.non_finite) == (len(points), len(points) - len(finite))
        assert info.first_step == min(p.step for p in points)
        assert same(info.low, min(finite, default=None)) or info.low == min(finite)
        assert same(info.high, max(finite, default=None)) or info.high == max(finite)


@store
@given(batches, st.sets(st.integers(1, 8)), st.integers(10, 40), st.integers(0, 60), st.integers(0, 60))
def test_buckets_are_those_of_brute_force(made, compact_after, width, one, other):
    source = put(made, compact_after)
    start, end = sorted((one, other))
    points = [p for p in as_points(made) if start <= p.step <= end]
    for part in series.read(source, KEYS, width=width, start=start, end=end):
        mine = [p for p in points if (p.key, p.branch) == (part.key, part.branch)]
        assert not part.faded
        if part.exact:
            assert part.columns["step"].tolist() == sorted(p.step for p in mine)
            continue
        assert part.bucket & (part.bucket - 1) == 0
        columns = part.as_map()["columns"]
        for at, step in enumerate(columns["step"]):
            assert step % part.bucket == 0
            inside = [p for p in mine if step <= p.step < step + part.bucket]
            finite = [p.value for p in inside if math.isfinite(p.value)]
            # The buckets at the ends may reach out of the range.
            assert columns["count"][at] >= max(1, len(inside))
            if start <= step and step + part.bucket - 1 <= end:
                assert columns["count"][at] == len(inside)
                assert columns["min"][at] == (min(finite) if finite else None)
                assert columns["max"][at] == (max(finite) if finite else None)
        assert len(columns["step"]) <= width + 1
    parts = series.read(source, KEYS, width=width, start=start, end=end)
    wanted = {(p.key, p.branch) for p in points}
    assert wanted <= {(part.key, part.branch) for part in parts}
    assert {(part.key, part.branch) for part in parts if part.exact} <= wanted


@store
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=400), st.integers(0, 399), st.integers(10, 50))
def test_an_append_never_moves_an_old_bucket(losses, cut, width):
    """The buckets that are full before an append are the same after it, at the same width of bucket."""
    cut = min(cut, len(losses))

    def column(first, last):
        steps = list(range(first, last))
        return Column("loss", steps, [1.7e9 + step for step in steps], losses[first:last])

    source = f"run:test{next(numbers)}"
    if cut:
        series.append(source, "a" * 32, [Batch(seq=1, columns=[column(0, cut)])])
        series.compact(source=source)
    before = series.read(source, ["loss"], width=width)
    if cut < len(losses):
        series.append(source, "b" * 32, [Batch(seq=1, columns=[column(cut, len(losses))])])
    after = series.read(source, ["loss"], width=width)
    for old, new in zip(before, after, strict=False):
        if old.exact or new.exact or old.bucket != new.bucket:
            continue
        kept = dict(
            zip(
                new.columns["step"].tolist(),
                zip(*(new.columns[n].tolist() for n in ("min", "max", "count")), strict=True),
                strict=True,
            )
        )
        for at, step in enumerate(old.columns["step"][:-1]):
            assert kept[step] == tuple(old.columns[name][at] for name in ("min", "max", "count"))


@store
@given(st.integers(200, 3000), st.integers(10, 120), st.integers(0, 5), st.booleans())
def test_no_spike_and_no_nan_is_hidden_by_down_sampling(length, width, at_fifth, compacted):
    at = min(length - 1, at_fifth * length // 5)
    values = [0.0] * length
    values[at] = 1e9
    values[(at + 7) % length] = math.nan
    values[(at + 9) % length] = math.inf
    source = f"run:test{next(numbers)}"
    batch = Batch(seq=1, columns=[Column("loss", list(range(length)), [1.7e9] * length, values)])
    series.append(source, "a" * 32, [batch])
    if compacted:
        series.compact(source=source)
    (part,) = series.read(source, ["loss"], width=width)
    assert np.nanmax(part.columns["max"]) == 1e9
    assert {mark["kind"] for mark in part.non_finite} == {"NaN", "Infinity"}
    marked = next(mark["step"] for mark in part.non_finite if mark["kind"] == "NaN")
    assert marked <= (at + 7) % length < marked + part.bucket


def line(steps, values, seq=1, key="loss", branch=0, time=1.7e9):
    return Batch(
        seq=seq,
        branch=branch,
        columns=[Column(key, list(steps), [time + s for s in steps], list(map(float, values)))],
    )


def test_a_batch_sent_twice_is_stored_once_and_a_gap_is_refused():
    batch = line([1], [1])
    assert series.append("run:x", "a" * 32, [batch]) == 1
    assert series.append("run:x", "a" * 32, [batch]) == 1
    assert series.append("run:x", "b" * 32, [batch]) == 1
    assert [info.points for info in series.keys("run:x")] == [2]
    with pytest.raises(GapError, match="expected 2"):
        series.append("run:x", "a" * 32, [line([9], [9], seq=3)])
    assert series.last_seq("run:x", "a" * 32) == 1


def test_what_a_roll_back_left_behind_is_faded_and_not_erased():
    series.append("run:x", "a" * 32, [line(range(10), range(10))])
    series.append("run:x", "a" * 32, [line(range(5, 12), range(5, 12), seq=2, branch=1)])
    branches = [{"index": 0, "from_step": 0}, {"index": 1, "from_step": 5}]
    parts = series.read("run:x", ["loss"], branches=branches)
    assert [(part.branch, part.faded, part.columns["step"].tolist()) for part in parts] == [
        (0, False, [0, 1, 2, 3, 4, 5]),
        (0, True, [6, 7, 8, 9]),
        (1, False, [5, 6, 7, 8, 9, 10, 11]),
    ]


@pytest.mark.parametrize("compacted", [False, True])
def test_every_axis(compacted):
    series.append("run:x", "a" * 32, [line(range(100), range(100))])
    series.append("run:x", "b" * 32, [line(range(100), [s * 2 for s in range(100)], key="epoch")])
    if compacted:
        series.compact(source="run:x")
    by_time = series.read("run:x", ["loss"], x="time", start=1.7e9 + 10, end=1.7e9 + 20)[0]
    assert (by_time.x, by_time.columns["step"].tolist()) == ("time", list(range(10, 21)))
    relative = series.read("run:x", ["loss"], x="relative", start=10, end=20)[0]
    assert relative.columns["x"].tolist() == [float(s) for s in range(10, 21)]
    series.append("run:late", "a" * 32, [line(range(500, 600), range(100))])
    by_steps = series.read("run:late", ["loss"], x="relative_step", start=10, end=20)[0]
    assert (by_steps.x, by_steps.columns["x"].tolist()) == ("relative_step", list(range(10, 21)))
    assert by_steps.columns["step"].tolist() == list(range(510, 521))
    by_key = series.read("run:x", ["loss"], x="epoch", start=10, end=20)[0]
    assert (by_key.x, by_key.columns["x"].tolist(), by_key.columns["step"].tolist()) == (
        "epoch", [10.0, 12.0, 14.0, 16.0, 18.0, 20.0], [5, 6, 7, 8, 9, 10],
    )  # fmt: skip
    nowhere = series.read("run:x", ["loss"], x="nosuch")[0]
    assert nowhere.x == "step"


def test_the_tail_is_the_newest_branch_by_step_for_many_sources_at_once():
    series.append("run:x", "a" * 32, [line(range(50), range(50))])
    series.compact(source="run:x")
    series.append("run:x", "a" * 32, [line(range(40, 60), range(140, 160), seq=2, branch=1)])
    series.append("run:y", "a" * 32, [line([3, 1, 2], [30, 10, 20])])
    found = series.tail(["run:x", "run:y", "run:none"], ["loss", "none"], 5)
    assert found.keys() == {"run:x", "run:y"}
    assert found["run:x"]["loss"][2].tolist() == [155, 156, 157, 158, 159]
    assert found["run:y"]["loss"][0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("compacted", [False, True])
def test_the_tail_may_go_back_to_what_the_newest_branch_grew_from(compacted):
    """0 to 49; back to 29 and on to 39; back to 34 and on to 36: two roll backs."""
    for seq, (branch, first, last) in enumerate([(0, 0, 49), (1, 30, 39), (2, 35, 36)], 1):
        values = [1000 * branch + step for step in range(first, last + 1)]
        series.append("run:x", "a" * 32, [line(range(first, last + 1), values, seq=seq, branch=branch)])
        if compacted:
            series.compact(source="run:x")
    forks = {"run:x": [(0, 0), (1, 29), (2, 34), (3, 20)]}  # the last has no point yet
    steps, _, values = series.tail(["run:x"], ["loss"], 12, forks)["run:x"]["loss"]
    assert steps.tolist() == list(range(25, 37))
    assert values.tolist() == [*range(25, 30), *range(1030, 1035), 2035, 2036]


def test_long_series_become_chunks_and_roll_ups_that_agree_with_the_points(monkeypatch):
    monkeypatch.setattr(compaction, "CHUNK_POINTS", 4096)
    rng = np.random.default_rng(7)
    values = rng.normal(size=20_000).cumsum()
    for seq, first in enumerate(range(0, 20_000, 1000), 1):
        series.append(
            "run:x", "a" * 32, [line(range(first, first + 1000), values[first : first + 1000], seq=seq)]
        )
        if seq % 3 == 0:
            series.compact(source="run:x")
    series.compact(source="run:x")
    assert series.check() == []
    (part,) = series.read("run:x", ["loss"], width=500)
    assert part.bucket == 64
    folded = [values[first : first + 64] for first in range(0, 20_000, 64)]
    assert np.allclose(part.columns["min"], [chunk.min() for chunk in folded])
    assert np.allclose(part.columns["max"], [chunk.max() for chunk in folded])
    assert np.allclose(part.columns["mean"], [chunk.mean() for chunk in folded])
    assert np.allclose(part.columns["last"], [chunk[-1] for chunk in folded])


def test_a_close_look_into_a_long_chunk_is_exact():
    series.append("run:x", "a" * 32, [line(range(5000), range(5000))])
    series.compact(source="run:x")
    (part,) = series.read("run:x", ["loss"], width=900, start=2000, end=2899)
    assert (part.exact, part.bucket, part.columns["step"].tolist()) == (True, 1, list(range(2000, 2900)))
    (part,) = series.read("run:x", ["loss"], width=899, start=2000, end=2899)
    assert (part.exact, part.bucket) == (False, 2)
