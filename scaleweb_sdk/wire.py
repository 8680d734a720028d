"""A websocket that one thread drives: it sleeps until a frame, a wake-up or a time, whichever is first.

websockets' own synchronous client starts two threads a connection and has to be asked every few milliseconds
whether something else is to be done. In a training process each such turn takes the interpreter from the training.
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from . import protocol

OPEN_SECONDS = 5.0
PING_AFTER_SECONDS = 10.0
DEAD_AFTER_SECONDS = 30.0
MOST_UNWRITTEN_BYTES = 2**20
READ_BYTES = 2**16


class Gone(Exception):
    """The connection is over, or was never made; the message says why."""


class Denied(Gone):
    """The server does not take this token."""


class Bell:
    """Wakes the thread that waits on it. Rung from any thread and from signal handlers: nothing in it can wait."""

    def __init__(self) -> None:
        self.ear, self._hammer = socket.socketpair()
        self.ear.setblocking(False)
        self._hammer.setblocking(False)
        self.rung = False  # a ring is under way, or waits to be heard
        self._rang = False

    def ring(self) -> None:
        if not self.rung:
            self.rung = True
            with contextlib.suppress(OSError):  # closed, or already full of rings
                self._hammer.send(b"\0")

    def hear(self) -> bool:
        """Whether it rang since the last call."""
        rung, self._rang = self._rang, False
        return rung

    def hush(self) -> None:
        """Called by who waits, once the ear is readable."""
        self.rung, self._rang = False, True
        with contextlib.suppress(OSError):
            self.ear.recv(1024)

    def wait(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.ear, selectors.EVENT_READ)
            if selector.select(seconds):
                self.hush()

    def close(self) -> None:
        self.ear.close()
        self._hammer.close()


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
        self._writing = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(bell.ear, selectors.EVENT_READ)

    @property
    def full(self) -> bool:
        """So much is still to be written that more should wait."""
        return self.unwritten_bytes > MOST_UNWRITTEN_BYTES

    def send(self, message: bytes) -> None:
        """Queue a binary message, and write what the system takes at once. What is over, `turn` says."""
        if not self._over:
            self._websocket.send_binary(message)
            self._write()

    def turn(self, seconds: float) -> list[bytes]:
        """What came within `seconds`; ends early for a message, for room to write, and when the bell rings.

        Raises Gone once all is read that came before the end: a refusal says why it ended.
        """
        if self._over:
            self._read()
            if last := list(self._messages()):
                return last
            raise Gone(self._over)
        self._keep_alive()
        if self._writing != bool(self._unwritten):
            self._writing = not self._writing
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._writing else 0)
            self._selector.modify(self._socket, wanted)
        for key, ready in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._socket:
                if ready & selectors.EVENT_READ:
                    self._read()
                if ready & selectors.EVENT_WRITE:
                    self._write()
            else:
                self._bell.hush()
        return list(self._messages())

    def close(self) -> None:
        """Say goodbye as far as the system takes it at once, and let go."""
        with contextlib.suppress(Exception):
            if self._websocket.state is State.OPEN:
                self._websocket.send_close(1000)
                self._write()
        self._selector.close()
        with contextlib.suppress(OSError):
            self._socket.close()

    def forget(self) -> None:
        """Let go of a parent's connection in a forked child: without a word to the server."""
        self._selector.close()
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
                self._heard_at, self._asked = time.monotonic(), False
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


def dial(url: str, token: str, bell: Bell) -> Wire:
    """Connect to the site's link; waits up to some seconds. Raises Denied, Gone."""
    try:
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        uri = parse_uri(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{protocol.LINK_PATH}")
        sock = socket.create_connection((uri.host, uri.port), timeout=OPEN_SECONDS)
    except (OSError, ValueError, InvalidURI) as error:
        raise Gone(f"{url}: {error}") from error
    try:
        # Nagle's algorithm against delayed acknowledgements costs 40 ms a reply.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if uri.secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=uri.host)
        websocket = ClientProtocol(uri, max_size=protocol.MAX_FRAME_BYTES)
        shake_hands(sock, websocket, token)
        sock.setblocking(False)
        return Wire(sock, websocket, bell)
    except InvalidStatus as error:
        sock.close()
        status = error.response.status_code
        if status in {401, 403}:
            raise Denied(f"the server refused the token ({status})") from error
        raise Gone(f"{url} answered {status}") from error
    except (OSError, InvalidHandshake, ValueError) as error:
        sock.close()
        raise Gone(f"{url}: {error}") from error


def shake_hands(sock: socket.socket, websocket: ClientProtocol, token: str) -> None:
    """The HTTP upgrade. Raises InvalidHandshake, OSError, ValueError."""
    request = websocket.connect()
    request.headers["Authorization"] = f"Bearer {token}"
    websocket.send_request(request)
    deadline = time.monotonic() + OPEN_SECONDS
    while websocket.state is State.CONNECTING:
        for data in websocket.data_to_send():
            sock.sendall(data)
        if time.monotonic() > deadline:
            raise TimeoutError("no answer to the upgrade within 5 s")
        data = sock.recv(READ_BYTES)
        if data:
            websocket.receive_data(data)
        else:
            websocket.receive_eof()
        if websocket.handshake_exc is not None:
            raise websocket.handshake_exc
        if not data:
            raise ConnectionError("the connection was closed in the handshake")
