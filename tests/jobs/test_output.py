"""What a job prints, followed on disk: every line of an ordinary script, and a bounded part of a flood."""

import errno
import os
import sys

import pytest

from scaleweb_sdk.protocol import LogLine
from training.jobs import output
from training.jobs.output import (
    KEPT_AT_ONCE_BYTES,
    KEPT_BYTES_PER_SECOND,
    LAST_WORDS_BYTES,
    Follower,
    LastLines,
)

LINE = b"a line of a hundred characters ".ljust(99, b".") + b"\n"


class Printed:
    """A file that a script appends to, and a clock in the test's hand."""

    def __init__(self, path) -> None:
        self.path, self.now = path, 0.0
        path.touch()
        self.follower = Follower(path, "stdout", clock=lambda: self.now)

    def add(self, data: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(data)

    def read(self, **how) -> list[str]:
        return [line.text for line in self.follower.read(**how)]

    def read_all(self) -> list[str]:
        found = []
        while lines := self.read():
            found += lines
            self.follower.release()
        return found

    @property
    def disk_bytes(self) -> int:
        return self.path.stat().st_blocks * 512


@pytest.fixture
def printed(tmp_path):
    return Printed(tmp_path / "stdout.log")


def test_lines_are_whole_rewritten_ones_are_shown_once_and_the_last_needs_no_end(printed):
    printed.add(b"one\ntwo 10%\rtwo 100%\r\nthr")
    assert printed.read() == ["one", "two 100%"]
    assert printed.read() == []
    printed.add(b"ee")
    assert printed.read(to_the_end=True) == ["three"]


def open_texts(printed) -> list[str]:
    return [line.text for line in printed.follower.open_lines()]


def open_text(printed) -> str | None:
    return next(iter(open_texts(printed)), None)


def test_a_line_that_is_being_written_is_told_as_it_stands(printed):
    printed.add(b"one\n\r 10%\r 20%")
    assert printed.read() == ["one"]
    assert open_text(printed) == " 20%"
    printed.add(b"\r 30%")
    assert (printed.read(), open_text(printed)) == ([], " 30%")
    printed.add(b"\r100%\nbegun")
    assert (printed.read(), open_text(printed)) == (["100%"], None)
    printed.now += 1
    assert open_text(printed) == "begun"  # no bar, but it stands for a while
    assert printed.read(to_the_end=True) == ["begun"]
    assert open_text(printed) is None


def test_bars_within_bars_are_told_in_their_rows_and_stored_once_they_are_done(printed):
    up = "\x1b[A"
    printed.add(b"start\n\repochs: 0%|\n\rbatches: 0%|")
    assert (printed.read(), open_texts(printed)) == (["start"], ["epochs: 0%|", "batches: 0%|"])
    bar = f"{up}\n\rbatches: 50%|████{up}".encode()
    printed.add(bar[:-5])  # in the middle of a letter, as it may be read
    assert printed.read() == []
    printed.add(bar[-5:])
    assert (printed.read(), open_texts(printed)) == ([], ["epochs: 0%|", "batches: 50%|████"])
    offset = printed.follower.offset
    later = Follower(printed.path, "stdout", offset)  # of a supervisor that goes on after this one
    assert later.read() == []
    assert [line.text for line in later.open_lines()] == ["epochs: 0%|", "batches: 50%|████"]
    printed.add(f"\n\r        {up}\repochs: 100%|█\n".encode())
    assert (printed.read(), open_texts(printed)) == ([], ["epochs: 100%|█"])  # another bar may follow
    assert (printed.read(), open_texts(printed)) == (["epochs: 100%|█"], [])
    printed.add(b"over\n")
    assert printed.read() == ["over"]
    assert printed.follower.offset == printed.path.stat().st_size


def test_bars_within_bars_that_go_on_for_hours_take_no_room(printed):
    printed.add(b"\repochs: 0%")
    for hour in range(40):
        printed.add(b"".join(b"\n\rbatch %06d%s\x1b[A" % (hour * 4000 + n, b"." * 30) for n in range(4000)))
        assert printed.read() == []
        assert open_texts(printed) == ["epochs: 0%", f"batch {hour * 4000 + 3999:06}" + "." * 30]
        printed.follower.release()
    assert printed.disk_bytes < 5 * 2**20
    assert printed.read(to_the_end=True) == ["epochs: 0%", f"batch {159999:06}" + "." * 30]


def test_a_bar_that_never_ends_its_line_takes_no_room_and_is_one_line_in_the_end(printed):
    for step in range(40):
        printed.add(
            b"".join(b"\r%06d of a long training, %4d%%" % (step * 3000 + n, step) for n in range(3000))
        )
        assert printed.read() == []
        assert open_text(printed) == f"{step * 3000 + 2999:06} of a long training, {step:4}%"
        printed.follower.release()
    assert printed.disk_bytes < 5 * 2**20
    printed.add(b"\rover" * 400_000)  # at once, and more than is read at once
    assert printed.read(to_the_end=True) == ["over"]


def test_an_ordinary_script_loses_no_line_and_its_disk_is_given_back(printed):
    lines = 12 * 2**20 // len(LINE)
    for _ in range(lines // 1000):
        printed.add(LINE * 1000)
    assert len(printed.read_all()) == lines // 1000 * 1000
    assert printed.path.stat().st_size > 11 * 2**20
    assert printed.disk_bytes < 5 * 2**20
    printed.add(b"and on\n")
    assert printed.read() == ["and on"]


def test_of_a_flood_the_newest_lines_are_kept_and_the_rest_is_counted(printed):
    for _ in range(60):
        printed.add(LINE * 10_000)
    printed.add(b"newest\n")
    got = printed.read_all()
    assert got[0].startswith("[41.2 MiB were printed faster than they can be kept")
    assert got[-1] == "newest"
    assert sum(len(line) + 1 for line in got) <= KEPT_AT_ONCE_BYTES + 100
    assert printed.disk_bytes < 5 * 2**20
    printed.add(LINE * 10_000)
    assert printed.read() == [], "the allowance is used up: it waits"
    printed.now += 10
    assert sum(len(line) + 1 for line in printed.read_all()) <= LAST_WORDS_BYTES * 3
    printed.now += 3600
    printed.add(b"quiet again\n")
    assert printed.read() == ["quiet again"]


def test_a_flood_that_goes_on_for_an_hour_is_kept_at_the_steady_rate(printed):
    kept = 0
    for _ in range(600):
        printed.now += 6
        printed.add(LINE * 2000)
        kept += sum(len(line) + 1 for line in printed.read_all())
    assert kept <= KEPT_AT_ONCE_BYTES + 3600 * KEPT_BYTES_PER_SECOND + LAST_WORDS_BYTES
    assert kept > KEPT_AT_ONCE_BYTES
    assert printed.disk_bytes < 6 * 2**20


def test_the_last_words_of_a_flood_are_handed_out_at_the_end(printed):
    printed.follower.allowed = 0
    printed.add(LINE * 10_000 + b"ValueError: the reason\n")
    assert printed.read() == []
    got = printed.read(to_the_end=True)
    assert "left out here" in got[0]
    assert got[-1] == "ValueError: the reason"
    assert printed.read(to_the_end=True) == []


def test_a_file_system_that_cannot_give_back_a_part_gets_the_file_emptied(printed, monkeypatch):
    def cannot(*_):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(output, "punch_hole", cannot)
    printed.add(LINE * 60_000)
    assert len(printed.read_all()) == 60_000
    assert printed.path.stat().st_size == 0
    printed.add(b"and on\n")
    assert printed.read_all()[-1] == "and on"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="blocks are given back on Linux")
def test_a_hole_reads_as_zeros_and_what_is_behind_it_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2**20)
    output.punch_hole(path, 0, 2**19)
    data = path.read_bytes()
    assert (len(data), data[0], data[-1]) == (2**20, 0, ord("x"))
    assert path.stat().st_blocks * 512 <= 2**19 + 8192


TORCHRUN = [
    "E1126 09:40:51.963000 2957 torch/…/api.py:1002] failed (exitcode: -9) local_rank: 1 (pid: 2970) of binary: python",
    "Traceback (most recent call last):",
    "  raise ChildFailedError(",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
    "Root Cause (first observed failure):",
]


@pytest.mark.parametrize(
    ("stderr", "stdout", "expected"),
    [
        (["Traceback (most recent call last):", "  x", "ValueError: bad"], [], "ValueError: bad"),
        (["Traceback (most recent call last):", "  x", "OutOfLuck"], [], "OutOfLuck"),
        (["W: slow", "RuntimeError: first", "bye"], [], "RuntimeError: first"),
        (["just words", "the last"], [], "the last"),
        ([], ["loading", "ERROR: no data in /data", "bye"], "ERROR: no data in /data"),
        ([], ["loading", "done"], ""),
        (
            ["Traceback (most recent call last):", "  x", "ValueError: bad", *TORCHRUN],
            [], "ValueError: bad",
        ),
        (
            ["Traceback (most recent call last):", "  x", "ValueError: bad", "Traceback (most recent call last):",
             "  y", "RuntimeError: Connection closed by peer", *TORCHRUN],
            [], "ValueError: bad",
        ),
        (TORCHRUN, [], "the process of local rank 1 was killed by SIGKILL"),
    ],
)  # fmt: skip
def test_the_line_that_says_why_it_failed_is_found(stderr, stdout, expected):
    last = LastLines()
    last.add(
        [LogLine(0.0, "stderr", text) for text in stderr] + [LogLine(0.0, "stdout", text) for text in stdout]
    )
    assert last.first_error() == expected
