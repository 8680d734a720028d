"""A websocket that one thread drives: it sleeps until a frame, a wake-up or a time, whichever is first.

websockets' own synchronous client starts two threads a connection and has to be asked every few milliseconds
whether something else is to be done. In a training process each such turn takes the interpreter from the training.
"""

import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from .bell import Bell, sleep

PING_AFTER_SECONDS = 10.0
DEAD_AFTER_SECONDS = 30.0
MOST_UNWRITTEN_BYTES = 2**20
READ_BYTES = 2**16
# One acknowledgement is shorter (17 to 25 bytes), a hint, an order or two acknowledgements longer. With TLS each
# record adds 22 bytes or more.
LONE_FRAME_BYTES = 30
LONE_RECORD_BYTES = 55


class Gone(Exception):
    """The connection is over, or was never made; the message says why."""


class Wire:
    """An open connection."""

    def __init__(self, sock: socket.socket, websocket: ClientProtocol, bell: Bell) -> None:
        self._socket = sock
        self._bell = bell
        self._websocket = websocket
        self._unwritten: deque[memoryview] = deque()
        self.unwritten_bytes = 0
        self._parts: list[bytes] = []  # of a message in several frames
        self._heard_at = time.monotonic()
        self._asked = False
        self._over = ""
        self._fresh = True  # something may have come with the handshake
        self._patient = False

    @property
    def full(self) -> bool:
        """So much is still to be written that more should wait."""
        return self.unwritten_bytes > MOST_UNWRITTEN_BYTES

    def send(self, message: bytes) -> None:
        """Queue a binary message, and write what the system takes at once. What is over, `turn` says."""
        if not self._over:
            self._websocket.send_binary(message)
            self._write()

    def turn(self, seconds: float, patient: bool = False) -> list[bytes]:
        """What came within `seconds`; ends early for a message, for room to write, and when the bell rings.

        patient: not for an acknowledgement alone, which is looked for at the end: each waking takes the interpreter
        from the training. Raises Gone once all is read that came before the end: a refusal says why it ended.
        """
        if self._over:
            self._read()
            if last := list(self._messages()):
                return last
            raise Gone(self._over)
        self._keep_alive()
        if patient is not self._patient:
            self._be_patient(patient)
        readable, writable, rung = sleep(seconds, self._bell, self._socket, bool(self._unwritten))
        if readable or patient:
            self._read()
        if writable:
            self._write()
        if rung:
            self._bell.hush()
        if not self._fresh:
            return []
        self._fresh = False
        return list(self._messages())

    def _be_patient(self, patient: bool) -> None:
        self._patient = patient
        most = LONE_RECORD_BYTES if isinstance(self._socket, ssl.SSLSocket) else LONE_FRAME_BYTES
        with contextlib.suppress(OSError):  # not on Windows: there each frame ends the sleep
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, most if patient else 1)

    def close(self) -> None:
        """Say goodbye as far as the system takes it at once, and let go."""
        with contextlib.suppress(Exception):
            if self._websocket.state is State.OPEN:
                self._websocket.send_close(1000)
                self._write()
        with contextlib.suppress(OSError):
            self._socket.close()

    def forget(self) -> None:
        """Let go of a parent's connection in a forked child: without a word to the server."""
        self._socket.close()

    def _keep_alive(self) -> None:
        silent = time.monotonic() - self._heard_at
        if silent > DEAD_AFTER_SECONDS:
            raise Gone(f"nothing was heard for {silent:.0f} s")
        if silent > PING_AFTER_SECONDS and not self._asked:
            self._asked = True
            self._websocket.send_ping(b"")
            self._write()

    def _write(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self._unwritten.append(memoryview(data))
                self.unwritten_bytes += len(data)
        try:
            while self._unwritten:
                first = self._unwritten[0]
                sent = self._socket.send(first)
                self.unwritten_bytes -= sent
                if sent == len(first):
                    self._unwritten.popleft()
                else:
                    self._unwritten[0] = first[sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            # What came before it, a refusal perhaps, is still to be read.
            self._over = self._over or str(error)
            self._unwritten.clear()
            self.unwritten_bytes = 0

    def _read(self) -> None:
        try:
            while True:
                data = self._socket.recv(READ_BYTES)
                self._heard_at, self._asked, self._fresh = time.monotonic(), False, True
                if not data:
                    self._websocket.receive_eof()
                    self._over = self._over or "the server closed the connection"
                    break
                self._websocket.receive_data(data)
                if len(data) < READ_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._over = self._over or str(error)
        if self._fresh:
            self._write()  # pongs, and the answer to a close

    def _messages(self) -> Iterator[bytes]:
        for frame in self._websocket.events_received():
            if not isinstance(frame, Frame):
                continue
            if frame.opcode is Opcode.CLOSE:
                self._over = (
                    self._over
                    or f"the server closed the connection: {bytes(frame.data[2:]).decode('utf-8', 'replace')}"
                )
            if frame.opcode not in {Opcode.BINARY, Opcode.TEXT, Opcode.CONT}:
                continue
            self._parts.append(bytes(frame.data))
            if frame.fin:
                yield b"".join(self._parts)
                self._parts = []
        if self._websocket.parser_exc is not None:
            self._over = self._over or f"what came is no websocket: {self._websocket.parser_exc}"
