"""The link's thread wakes for what matters, and for nothing else."""

import contextlib
import queue
import socket
import sys

import pytest

from scaleweb_sdk.bell import NOTHING, Bell, sleep
from scaleweb_sdk.dialling import dial
from scaleweb_sdk.pace import pause_after
from scaleweb_sdk.parcels import Parcel
from scaleweb_sdk.protocol import Ack, Column, Hint, Order, Orders, PackedColumn, encode
from tests.sdk.test_hearing_the_server import a_server
from tests.support.wait import PATIENCE_SECONDS, until

LONG = 10 * PATIENCE_SECONDS  # a sleep that only a frame, a ring or the end of the connection may end


@pytest.fixture
def line():
    """(what the server says next, the client's wire, its bell)."""
    says: queue.Queue = queue.Queue()

    def speak(connection):
        while (frame := says.get()) is not None:
            connection.send(encode(frame))

    with a_server(speak) as url:
        bell = Bell()
        wire = dial(url, "sw_run_x", bell)
        wire.turn(0)  # nothing came with the handshake
        yield says, wire, bell
        says.put(None)
        wire.close()
        bell.close()


def arrived(wire, count):
    with contextlib.suppress(BlockingIOError):
        return len(wire._socket.recv(4096, socket.MSG_PEEK)) >= count
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="each frame ends the sleep there")
@pytest.mark.parametrize("seq", [1, 300, 70_000, 2**32])
def test_an_acknowledgement_alone_does_not_wake_a_patient_thread_and_is_read_at_its_end(line, seq):
    says, wire, bell = line
    assert wire.turn(0, patient=True) == []
    says.put(Ack(seq))
    until(lambda: arrived(wire, len(encode(Ack(seq))) + 2))
    assert sleep(0, bell, wire._socket) == NOTHING
    assert wire.turn(0, patient=True) == [encode(Ack(seq))]


@pytest.mark.parametrize("frame", [Hint(0.05), Orders([Order(1, "stop")]), Orders([Order(2**40, "pause")])])
def test_whatever_else_the_server_says_wakes_it_at_once(line, frame):
    says, wire, _ = line
    says.put(frame)
    assert wire.turn(LONG, patient=True) == [encode(frame)]


def test_an_order_behind_an_acknowledgement_wakes_it_at_once(line):
    says, wire, _ = line
    frames = [Ack(7), Orders([Order(1, "stop")])]
    for frame in frames:
        says.put(frame)
    found = []
    while len(found) < 2:
        found += wire.turn(LONG, patient=True)
    assert found == [encode(frame) for frame in frames]


def test_a_ring_wakes_it_at_once(line):
    _, wire, bell = line
    bell.ring()
    assert wire.turn(LONG, patient=True) == []
    assert bell.hear()


def test_the_end_of_the_connection_wakes_it_at_once(line):
    says, wire, _ = line
    says.put(None)
    assert wire.turn(LONG, patient=True) == []


packed = PackedColumn("loss", bytes(8), bytes(8), bytes(8))
many = PackedColumn("loss", bytes(16), bytes(16), bytes(16))


@pytest.mark.parametrize(
    ("parcels", "hinted", "seconds"),
    [
        ([], 0.05, 0.05),
        ([Parcel(0, [packed])], 0.05, 0.05),
        ([Parcel(0, [Column("loss", [1], [1.0], [1.0])])], 0.05, 0.05),
        ([Parcel(0, [packed]), Parcel(1, [packed])], 0.05, 0.05),
        ([Parcel(0, [packed, many])], 0.05, 0.1),
        ([Parcel(0, [Column("loss", [1, 2], [1.0] * 2, [1.0] * 2)])], 0.05, 0.1),
        ([Parcel(0, [many])], 1.0, 1.0),
        ([Parcel(0, [many])], 2.0, 2.0),
    ],
)
def test_only_short_steps_that_somebody_watches_are_gathered_twice_as_long(parcels, hinted, seconds):
    assert pause_after(parcels, hinted) == seconds
