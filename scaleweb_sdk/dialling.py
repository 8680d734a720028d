"""How a connection comes about, beside the link's thread, which must wait for no name look-up and no handshake."""

import logging
import random
import socket
import ssl
import threading
import time
from collections import deque
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State
from websockets.uri import parse_uri

from . import protocol
from .bell import Bell
from .wire import READ_BYTES, Gone, Wire

logger = logging.getLogger("scaleweb")
OPEN_SECONDS = 5.0
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0


class Denied(Gone):
    """The server does not take this token."""


class Dialler:
    """Makes one connection at a time; after each that failed or was lost it waits longer, up to some seconds."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._thread: threading.Thread | None = None
        self._made: deque[Wire | Gone] = deque()
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._due_at = 0.0

    def dial(self, url: str, token: str) -> float:
        """Begin, unless that is under way or not due yet: then the seconds until it is, else infinity."""
        if self._thread is not None:
            return float("inf")
        left = self._due_at - time.monotonic()
        if left > 0:
            return left
        self._thread = threading.Thread(
            target=self._make, args=(url, token), name="scaleweb-dial", daemon=True
        )
        self._thread.start()
        return float("inf")

    def _make(self, url: str, token: str) -> None:
        try:
            self._made.append(dial(url, token, self._bell))
        except Gone as error:
            self._made.append(error)
        except Exception as error:  # noqa: BLE001  whatever it was, the link's thread waits for an answer
            self._made.append(Gone(f"{url}: {error!r}"))
        self._bell.ring()

    def take(self) -> Wire | Gone | None:
        """What came of it, once: a connection, or why there is none."""
        if not self._made:
            return None
        found = self._made.popleft()
        self._thread = None
        if isinstance(found, Gone):
            logger.debug("no link: %s", found)
            self.put_off()
        return found

    def put_off(self) -> None:
        # Jitter keeps 500 processes from coming back in the same instant.
        self._due_at = time.monotonic() + self._wait_seconds * random.uniform(0.5, 1.0)
        self._wait_seconds = min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def succeeded(self) -> None:
        self._wait_seconds = FIRST_WAIT_SECONDS

    def end(self) -> None:
        if self._thread is not None:
            self._thread.join(0.1)
        while self._made:
            late = self._made.popleft()
            if isinstance(late, Wire):
                late.close()


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
