"""Bytes that are in databases already stay readable, and what is torn in them is found."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.storage import chunks, levels, rollups, series
from monitoring.storage.batches import Points
from monitoring.storage.chunks import TornChunk
from monitoring.storage.integrity import check
from monitoring.storage.models import SeriesAxis, SeriesChunk, SeriesKey, SeriesRollup
from scaleweb_sdk.protocol import Batch, Column

both = pytest.mark.both_databases
rows = pytest.mark.django_db(databases="__all__")
STORED = Path(__file__).parent / "stored"


def stored_points() -> Points:
    """What the files in `stored` hold; they were written by the first form's own code."""
    steps = np.arange(0, 1800, 3)
    values = np.sin(steps / 7.0)
    values[[17, 18, 300]] = np.nan, np.inf, -0.0
    return Points(steps, 1.75e9 + steps * 0.5, values)


def same(one, other) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@both
@rows
def test_a_chunk_of_the_first_form_is_read_charted_checked_and_carried_on():
    points = stored_points()
    key = SeriesKey.objects.create(source="run:x", key="loss", figures={"points": 600})
    chunk = SeriesChunk.objects.create(
        series=key, first_step=0, last_step=1797, first_time=1.75e9, last_time=1.75e9 + 898.5, points=600,
        columns=(STORED / "columns-SWC1.bin").read_bytes(),
    )  # fmt: skip
    SeriesRollup.objects.create(id=chunk.pk, body=(STORED / "rollups-first.bin").read_bytes())
    (column,) = series.raw("run:x")
    assert same(column[2:], points)
    (chart,) = series.read("run:x", ["loss"], width=10)
    assert int(chart.columns["count"].sum()) == 600
    assert chart.bucket == 256
    assert series.check() == []
    series.append("run:x", "a" * 32, [Batch(1, columns=[Column("loss", [1800], [1.75e9 + 900], [0.5])])])
    series.compact(source="run:x")
    assert next(series.raw("run:x")).steps.tolist() == [*points.steps.tolist(), 1800]


def test_roll_ups_of_both_forms_say_the_same():
    blob = (STORED / "rollups-first.bin").read_bytes()
    for _, offset in levels.widths(blob):
        old = levels.decode(blob, offset)
        assert rollups.agree(old, rollups.of_points(*stored_points(), old.k))
        assert rollups.agree(levels.decode(levels.encode([old]), 0), old)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**53), st.floats(width=64)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 50),
)
def test_a_level_comes_back_bit_by_bit(points, k):
    steps = np.array([step for step, _ in points], np.int64)
    values = np.array([value for _, value in points])
    rows = rollups.of_points(steps, steps * 0.25, values, k)
    back = levels.decode(levels.encode([rows]), 0)
    for name in rollups.COLUMNS:
        assert getattr(back, name).tobytes() == getattr(rows, name).tobytes(), name


@pytest.mark.parametrize("at", [0, 1, 3, 5, 9, 20, 100, -1])
@pytest.mark.parametrize("form", ["values", "axis", "level"])
def test_a_flipped_byte_is_noticed(form, at):
    points = stored_points()
    write, read = {
        "values": (
            lambda: chunks.encode_values(points.values, 7),
            lambda blob: chunks.decode(blob, (points.steps, points.times)),
        ),
        "axis": (lambda: chunks.encode_axis(points.steps, points.times), chunks.decode_axis),
        "level": (lambda: levels.encode([rollups.of_points(*points, 4)]), every_level),
    }[form]
    torn = bytearray(write())
    read(bytes(torn))
    torn[at] ^= 0x41
    with pytest.raises(TornChunk):
        read(bytes(torn))


def every_level(blob: bytes) -> list[rollups.Rows]:
    return [levels.decode(blob, offset) for _, offset in levels.widths(blob)]


def together(first: int, last: int, keys: int = 5, seq: int = 1) -> Batch:
    """Some steps of keys that are logged in one call."""
    steps = list(range(first, last))
    times = [1.75e9 + step * 0.25 for step in steps]
    return Batch(seq, columns=[Column(f"k{key}", steps, times, values_of(key, steps)) for key in range(keys)])


def values_of(key: int, steps: Iterable[int]) -> list[float]:
    return [float(step % (key + 2)) for step in steps]


@both
@rows
def test_keys_logged_together_keep_their_steps_and_times_once(monkeypatch):
    monkeypatch.setattr("monitoring.storage.compact.CHUNK_POINTS", 100)
    for seq, first in enumerate(range(0, 350, 50), 1):
        series.append("run:x", "a" * 32, [together(first, first + 50, seq=seq)])
        series.compact(source="run:x")
    alone = Batch(1, columns=[Column("alone", [1, 2], [1.0, 2.0], [3.0, 4.0])])
    series.append("run:x", "b" * 32, [alone])
    series.compact(source="run:x")
    assert sorted(SeriesAxis.objects.values_list("users", flat=True)) == [5, 5, 5, 5]
    for key in range(5):
        (column,) = series.raw("run:x", [f"k{key}"])
        assert column.steps.tolist() == list(range(350))
        assert column.values.tolist() == values_of(key, range(350))
    assert series.check() == []
    assert series.tail(["run:x"], ["k0", "k1"], 3)["run:x"]["k1"][0].tolist() == [347, 348, 349]
    series.delete("run:x")
    assert not SeriesAxis.objects.exists()


@both
@rows
def test_an_axis_lives_as_long_as_the_last_chunk_that_uses_it():
    series.append("run:x", "a" * 32, [together(0, 10, keys=3)])
    series.compact(source="run:x")
    # From here on the keys part: each has steps of its own.
    for key in range(2):
        later = Batch(1, columns=[Column(f"k{key}", [20 + key], [1.75e9], [1.0])])
        series.append("run:x", str(key) * 32, [later])
        series.compact(source="run:x")
    assert [axis.users for axis in SeriesAxis.objects.all()] == [1]
    series.append("run:x", "c" * 32, [Batch(1, columns=[Column("k2", [30], [1.75e9], [1.0])])])
    series.compact(source="run:x")
    assert not SeriesAxis.objects.exists()
    assert [column.steps.size for column in series.raw("run:x")] == [11, 11, 11]


@both
@rows
def test_a_torn_axis_takes_only_its_own_chunks_and_the_check_names_them():
    series.append("run:x", "a" * 32, [together(0, 1200)])
    series.compact(source="run:x")
    series.append("run:y", "a" * 32, [together(0, 1200)])
    series.compact(source="run:y")
    axis = SeriesAxis.objects.get(source="run:x")
    axis.body = bytes(axis.body)[:-1]
    axis.save()
    problems = series.check()
    assert {(found.source, found.key) for found in problems} == {("run:x", f"k{key}") for key in range(5)}
    assert all("axis" in found.message for found in problems)
    assert list(series.raw("run:x")) == []
    assert len(list(series.raw("run:y"))) == 5
    # The roll-ups are whole: a wide chart still shows what there was.
    (chart,) = series.read("run:x", ["k0"], width=10)
    assert int(chart.columns["count"].sum()) == 1200


@rows
def test_five_keys_of_a_training_take_less_than_four_bytes_a_point():
    dice = np.random.default_rng(3)
    steps = np.arange(20_000)
    times = (1.75e9 + steps * 0.031 + dice.normal(0, 0.001, len(steps))).tolist()
    loss = 2.3 * np.exp(-steps / 4000) + dice.normal(0, 0.05, len(steps))
    curves = {
        "loss": loss.astype(np.float32),
        "lr": 0.05 * (1 + np.cos(steps / 5000)),
        "grad_norm": np.abs(dice.normal(1, 0.3, len(steps))).astype(np.float32),
        "accuracy": np.round(np.clip(1 - loss / 3, 0, 1) * 128) / 128,
        "samples_per_second": np.round(dice.normal(4000, 80, len(steps)), 1),
    }
    made = [Column(key, steps.tolist(), times, curve.astype(float).tolist()) for key, curve in curves.items()]
    series.append("run:x", "a" * 32, [Batch(1, columns=made)])
    series.compact(source="run:x")
    stored = sum(len(chunk.columns) for chunk in SeriesChunk.objects.all())
    stored += sum(len(each.body) for model in (SeriesAxis, SeriesRollup) for each in model.objects.all())
    assert stored / 100_000 < 4


@both
@rows
def test_an_axis_that_counts_wrongly_is_found_and_put_right():
    series.append("run:x", "a" * 32, [together(0, 600)])
    series.compact(source="run:x")
    SeriesAxis.objects.update(users=2)
    left = SeriesAxis.objects.create(source="run:x", users=1, body=b"")
    SeriesRollup.objects.create(id=10**9, body=b"")
    assert len(series.check()) == 3
    assert [found.mended for found in check(repair=True)] == [True, True, True]
    assert series.check() == []
    assert [axis.users for axis in SeriesAxis.objects.all()] == [5]
    assert not SeriesAxis.objects.filter(pk=left.pk).exists()


@both
@rows
def test_figures_that_miscount_are_worked_out_again():
    series.append("run:x", "a" * 32, [together(0, 600, keys=1)])
    series.compact(source="run:x")
    key = SeriesKey.objects.get()
    right = dict(key.figures)
    key.figures = right | {"points": 5}
    key.save()
    assert [found.mended for found in check(repair=True)] == [True]
    key.refresh_from_db()
    assert key.figures == right
