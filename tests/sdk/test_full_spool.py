"""A spool that is full thins what is old, and says so; one that cannot be written keeps what it can in memory."""

import math
import os
import subprocess
from array import array
from contextlib import suppress
from itertools import pairwise

import pytest

import scaleweb_sdk
from scaleweb_sdk.points import little
from scaleweb_sdk.protocol import Batch, Event, LogLine, PackedColumn
from scaleweb_sdk.spool import Spool
from scaleweb_sdk.thinning import numbers

LIMIT = 100_000


def batch(seq, points=10, key="loss", value=None, events=(), lines=()):
    steps = range((seq - 1) * points, seq * points)
    values = [float(step) if value is None else value for step in steps]
    column = PackedColumn(
        key, little(array("q", steps)), little(array("d", [0.0] * points)), little(array("d", values))
    )
    return Batch(seq, packed=[column], events=list(events), lines=list(lines))


def steps_of(batches, key="loss"):
    return [
        step
        for each in batches
        for column in each.packed
        if column.key == key
        for step in numbers("q", column.steps)
    ]


def fill(spool, count, **made):
    for seq in range(spool.last_seq + 1, spool.last_seq + count + 1):
        spool.append(batch(seq, **made))


def test_a_full_spool_thins_evenly_and_keeps_the_newest_whole(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"}, limit_bytes=LIMIT)
    fill(spool, 1000, points=40)  # ten times what it may hold
    assert spool.size_bytes <= LIMIT
    batches = list(spool.after(0))
    assert [each.seq for each in batches] == list(range(1, 1001)), (
        "a batch keeps its number with fewer points"
    )
    kept = steps_of(batches)
    assert spool.thinned_points == 40_000 - len(kept)
    assert kept[-500:] == list(range(39_500, 40_000)), "the newest are whole"
    gaps = [after - before for before, after in pairwise(kept)]
    assert max(gaps) <= 64, "no stretch of the run is left empty"
    assert kept[0] == 0


def test_a_key_with_one_point_a_batch_is_thinned_too(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"}, limit_bytes=LIMIT)
    fill(spool, 3000, points=1)
    kept = steps_of(spool.after(0))
    assert spool.size_bytes <= LIMIT
    assert len(kept) < 3000
    assert kept[0] == 0
    assert kept[-1] == 2999


def test_a_spool_is_thinned_to_the_same_points_each_time(tmp_path):
    found = []
    for name in ("a", "b"):
        spool = Spool(tmp_path / name, {"session": name}, limit_bytes=LIMIT)
        fill(spool, 1500)
        found.append(steps_of(spool.after(0)))
    assert found[0] == found[1]


def test_no_event_is_lost_and_no_nan_is_thinned_away(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"}, limit_bytes=LIMIT)
    for seq in range(1, 3001):
        events = [Event("note", 0.0, seq)] if seq % 10 == 0 else []
        spool.append(batch(seq, value=math.nan if seq == 7 else None, events=events))
    batches = list(spool.after(0))
    assert [event.step for each in batches for event in each.events] == list(range(10, 3001, 10))
    (seventh,) = (each for each in batches if each.seq == 7)
    assert len(numbers("d", seventh.packed[0].values)) == 10


def test_events_alone_are_kept_beyond_the_limit(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"}, limit_bytes=2000)
    for seq in range(1, 101):
        spool.append(Batch(seq, events=[Event("note", 0.0, seq, {"message": "x" * 100})]))
    spool.append(batch(101, points=1000))
    assert sum(len(each.events) for each in spool.after(0)) == 100
    assert spool.last_seq == 101


def test_output_is_thinned_like_points(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"}, limit_bytes=LIMIT)
    for seq in range(1, 2001):
        spool.append(Batch(seq, lines=[LogLine(0.0, "stdout", f"line {seq} {'.' * 100}")]))
    kept = [line.text for each in spool.after(0) for line in each.lines]
    assert spool.size_bytes <= LIMIT
    assert len(kept) == 2000 - spool.thinned_lines
    assert kept[-1].startswith("line 2000 ")


def test_what_was_thinned_is_said_on_the_run_and_in_a_warning(tmp_path, caplog):
    run = scaleweb_sdk.init(mode="offline", dir=tmp_path / "runs", capture=False)
    run.link.spool.limit_bytes = 50_000
    for _ in range(20_000):
        run.step({"loss": 1.0})
    run.finish()
    thinned = run.link.spool.thinned_points
    assert thinned > 0
    (folder,) = (tmp_path / "runs").iterdir()
    spool = Spool(folder)
    notes = [
        event.data["message"] for each in spool.after(0) for event in each.events if event.kind == "note"
    ]
    assert [note for note in notes if "thinned" in note] == [
        note for note in notes if f"{thinned} points" in note
    ]
    assert len([note for note in notes if "thinned" in note]) == 1
    assert any(f"{thinned} points" in record.message for record in caplog.records)
    assert spool.thinned_points == thinned, "known to whoever sends it later, too"
    events = [event.kind for each in spool.after(0) for event in each.events]
    assert "finish" in events


class Refusing:
    """A disk that takes nothing, as far as one spool sees it."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def begin(self):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        self.monkeypatch.setattr("scaleweb_sdk.segments.FileSegment.append", refuse)

    def end(self):
        self.monkeypatch.undo()


def test_while_the_disk_takes_nothing_memory_keeps_it_within_a_limit(tmp_path, monkeypatch, caplog):
    disk = Refusing(monkeypatch)
    spool = Spool(tmp_path / "s", {"session": "s"}, memory_limit_bytes=LIMIT)
    fill(spool, 10)
    disk.begin()
    fill(spool, 2000)
    assert spool.held_bytes <= LIMIT
    assert spool.size_bytes < 5000
    assert [each.seq for each in spool.after(0)] == list(range(1, 2011))
    assert steps_of(spool.after(0))[-100:] == list(range(20_000, 20_100))
    assert spool.thinned_points > 0
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1
    disk.end()
    spool._try_disk_at = 0.0
    fill(spool, 1)
    assert spool.held_bytes == 0, "what was held is on disk as soon as the disk takes it"
    assert [each.seq for each in spool.after(0)] == list(range(1, 2012))
    spool.close()
    assert Spool(tmp_path / "s").last_seq == 2011


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place]).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def take_the_rest(path):
    """Fill the file system to its last block."""
    with suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_disk_that_is_really_full_costs_no_batch(small_disk):
    spool = Spool(small_disk / "s", {"session": "s"})
    hog = small_disk / "hog"
    fill(spool, 5)
    take_the_rest(hog)
    fill(spool, 500)
    assert spool.held_bytes > 0
    assert [each.seq for each in spool.after(0)] == list(range(1, 506))
    hog.unlink()
    assert spool.settle()
    spool.close()
    again = Spool(small_disk / "s")
    assert [each.seq for each in again.after(0)] == list(range(1, 506)), (
        "no torn batch lies between whole ones"
    )
    assert steps_of(again.after(0)) == list(range(5050))


def test_a_full_disk_is_thinned_in_place(small_disk):
    spool = Spool(small_disk / "s", {"session": "s"}, limit_bytes=700_000)
    hog = small_disk / "hog"
    fill(spool, 2200)
    take_the_rest(hog)
    fill(spool, 1500)  # the limit is met before the disk's end was, so there is room only where it thins
    assert [each.seq for each in spool.after(0)] == list(range(1, 3701))
    hog.unlink()
    assert spool.settle()
    spool.close()
    assert [each.seq for each in Spool(small_disk / "s").after(0)] == list(range(1, 3701))
