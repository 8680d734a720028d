"""The line that a script is writing, a progress bar, is told as it stands, and stored once it has ended."""

import pytest

from scaleweb_sdk import terminal
from scaleweb_sdk.capture import Capture
from scaleweb_sdk.link import Link
from scaleweb_sdk.parcels import Parcel
from scaleweb_sdk.protocol import SERVER_KNOWS, Ack, Batch, LogLine, OpenLines, Welcome, decode_up, encode
from tests.sdk.test_hearing_the_server import a_server
from tests.support.wait import until


class Printed:
    """What a script prints, without a script: the writes that its streams would leave."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        self.capture = Capture()
        monkeypatch.setattr("scaleweb_sdk.capture.time.time", lambda: self.now)

    def write(self, text: str, stream: str = "stderr") -> None:
        self.capture.writes.append((self.now, stream, text))

    def take(self) -> list[str]:
        return [line.text for line in self.capture.take()]

    @property
    def open(self) -> list[tuple[float, str, str]]:
        return [(line.time, line.stream, line.text) for line in self.capture.open()]


@pytest.fixture
def printed(monkeypatch):
    return Printed(monkeypatch)


def test_a_bar_is_told_as_it_stands_until_its_line_ends(printed):
    for percent in (0, 50, 51):
        printed.write(f"\repoch 1: {percent:3}%")
    assert printed.take() == []
    assert printed.open == [(1000.0, "stderr", "epoch 1:  51%")]
    printed.now = 1001.0
    printed.write("\repoch 1: 100%")
    assert (printed.take(), printed.open) == ([], [(1001.0, "stderr", "epoch 1: 100%")])
    printed.write("\n")  # a bar within it may follow
    assert (printed.take(), printed.open) == ([], [(1001.0, "stderr", "epoch 1: 100%")])
    assert (printed.take(), printed.open) == (["epoch 1: 100%"], [])
    printed.write("\repoch 2: 100%\n")
    printed.write("loss 0.3\n", "stdout")  # stands below
    assert (printed.take(), printed.open) == (["epoch 2: 100%", "loss 0.3"], [])


def test_what_is_not_rewritten_is_told_once_it_has_stood_for_a_while(printed):
    printed.write("loading", "stdout")
    assert (printed.take(), printed.open) == ([], [])
    printed.now += terminal.STANDS_SECONDS
    printed.write(" the data", "stdout")  # it stands since it was begun
    assert (printed.take(), printed.open) == ([], [(printed.now, "stdout", "loading the data")])
    printed.write(" … done\nnext", "stdout")
    assert (printed.take(), printed.open) == (["loading the data … done"], [])


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("10%\r", ["10%"]),  # the rewriting comes last, as some have it
        ("\r100%\r      \r", []),  # wiped out, as tqdm leaves it
        ("outer\n\rinner 5%\x1b[A", ["outer", "inner 5%"]),  # bars within bars
        ("outer\n\rinner 5%\x1b[A\router 2", ["outer 2", "inner 5%"]),
        ("\r\x1b[A\x1b[2K", []),
        ("\rodd \udcff", ["odd ?"]),
        ("\r" + "." * 5000 + "!", ["…" + "." * 998 + "!"]),
    ],
)
def test_what_is_told_is_what_a_terminal_shows(printed, written, shown):
    printed.write(written)
    printed.take()
    assert [text for _, _, text in printed.open] == shown


def test_a_bar_that_never_ends_its_line_is_told_to_the_end_and_is_the_last_line(printed):
    for n in range(5000):
        printed.write(f"\rstep {n}")
        if n % 100 == 0:
            printed.take()
            assert printed.open[0][2] == f"step {n}"
    printed.capture.stop()
    assert (printed.take(), printed.open) == (["step 4999"], [])


class Server:
    """Hears what a link says; `knows`: what it takes beside batches."""

    def __init__(self, *knows: str) -> None:
        self.knows = list(knows)
        self.heard: list[Batch | OpenLines] = []

    def __call__(self, socket) -> None:
        socket.recv()
        socket.send(encode(Welcome(0, 0, 0.0, self.knows)))
        for raw in socket:
            self.heard.append(frame := decode_up(raw))
            if isinstance(frame, Batch):
                socket.send(encode(Ack(frame.seq)))

    @property
    def told(self) -> list[list[str]]:
        return [[line.text for line in frame.lines] for frame in self.heard if isinstance(frame, OpenLines)]


def test_a_link_tells_what_changed_and_never_more_often_than_it_can_be_seen(tmp_path):
    server, asked = Server(*SERVER_KNOWS), []

    def bar():
        asked.append(len(asked))
        return [LogLine(1.0, "stderr", f"step {min(len(asked), 40)}")]

    with a_server(server) as url:
        link = Link(url, "sw_run_x", "run:x", spool_dir=tmp_path, open_lines=bar, flush_seconds=0.01)
        until(lambda: server.told[-1:] == [["step 40"]])
        told = len(server.told)
        until(lambda: len(asked) > 80)
        assert len(server.told) == told, "what stands is not told again"
        assert link.close(timeout=10)
    assert told <= 41


def test_the_line_that_ended_is_sent_before_its_bar_is_said_to_be_over(tmp_path):
    server, lines = Server(*SERVER_KNOWS), [LogLine(1.0, "stderr", "99%")]
    ended: list[Parcel] = []

    def fill():
        parcels, ended[:] = list(ended), []
        lines[:] = [] if parcels else lines
        return parcels

    with a_server(server) as url:
        link = Link(
            url, "sw_run_x", "run:x", spool_dir=tmp_path, fill=fill, open_lines=lambda: list(lines),
            flush_seconds=0.01,
        )  # fmt: skip
        until(lambda: server.told == [["99%"]])
        ended.append(Parcel(lines=[LogLine(2.0, "stderr", "100%")]))
        link.flush()
        until(lambda: server.told == [["99%"], []])
        assert link.close(timeout=10)
    bar, line, over = server.heard
    assert (bar.lines[0].text, line.lines[0].text, over.lines) == ("99%", "100%", [])


@pytest.mark.parametrize(("knows", "most"), [(SERVER_KNOWS, 16), (("open_lines",), 4)])
def test_an_older_server_is_sent_no_more_open_lines_than_it_takes(tmp_path, knows, most):
    server = Server(*knows)
    bars = [LogLine(1.0, "stderr", f"bar {n}") for n in range(20)]
    with a_server(server) as url:
        link = Link(url, "sw_run_x", "run:x", spool_dir=tmp_path, open_lines=lambda: bars, flush_seconds=0.01)
        until(lambda: server.told)
        assert link.close(timeout=10)
    assert server.told[0] == [f"bar {n}" for n in range(20 - most, 20)]


def test_a_server_that_does_not_say_that_it_takes_them_is_sent_none(tmp_path):
    server = Server()
    with a_server(server) as url:
        asked = []
        link = Link(
            url, "sw_run_x", "run:x", spool_dir=tmp_path, flush_seconds=0.01,
            open_lines=lambda: asked.append(1) or [LogLine(1.0, "stderr", "50%")],
        )  # fmt: skip
        link.send(lines=[LogLine(1.0, "stdout", "whole")], now=True)
        assert link.close(timeout=10)
    assert [type(frame) for frame in server.heard] == [Batch]
    assert not asked
