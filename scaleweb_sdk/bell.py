"""How the link's thread sleeps: until something is to be read or written, somebody rings, or time is up."""

import contextlib
import select
import socket
from typing import NamedTuple


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
        if sleep(seconds, self).rung:
            self.hush()

    def close(self) -> None:
        self.ear.close()
        self._hammer.close()


class Woken(NamedTuple):
    readable: bool = False
    writable: bool = False
    rung: bool = False


NOTHING = Woken()

if hasattr(select, "poll"):

    def sleep(seconds: float, bell: Bell, sock: socket.socket | None = None, writing: bool = False) -> Woken:
        """What ended the sleep; `writing`: room to write on `sock` ends it, too."""
        ear = bell.ear.fileno()
        poll = select.poll()
        poll.register(ear, select.POLLIN)
        if sock is not None:
            poll.register(sock, select.POLLIN | select.POLLOUT if writing else select.POLLIN)
        # Rounded up: a moment too early would be a turn for nothing.
        found = poll.poll(int(max(0.0, seconds) * 1000 + 0.999))
        if not found:
            return NOTHING
        rung, readable, writable = False, False, False
        for handle, events in found:
            if handle == ear:
                rung = True
            else:
                # An error or a hang-up is read, which says what it is.
                readable = readable or bool(events & ~select.POLLOUT)
                writable = writable or bool(events & select.POLLOUT)
        return Woken(readable, writable, rung)

else:  # Windows

    def sleep(seconds: float, bell: Bell, sock: socket.socket | None = None, writing: bool = False) -> Woken:
        reading = [bell.ear] if sock is None else [bell.ear, sock]
        found, writable, _ = select.select(
            reading, [sock] if sock is not None and writing else [], [], max(0.0, seconds)
        )
        return Woken(sock in found, bool(writable), bell.ear in found)
