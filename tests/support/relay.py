"""A cable in front of a TCP server: what passes it can be held up, as when the plug is pulled, and let through again.

With a TLS context it is the encrypted end of a server that speaks plain.
"""

import asyncio
import contextlib
import ssl
import threading
from typing import Any

BLOCK = 2**16


class Relay:
    """Listens on 127.0.0.1 at `port`. Whoever is connected while it is `cut` hears nothing, not even an end."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target, self.tls, self.port = (host, port), tls, 0
        self.loop = asyncio.new_event_loop()
        self.whole = asyncio.Event()
        self.whole.set()
        self.pumps: set[asyncio.Task[Any]] = set()
        listening = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(listening,), name="relay", daemon=True)
        self.thread.start()
        listening.wait()

    def run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self.loop.run_forever()
        server.close()
        for pump in self.pumps:
            pump.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.pumps, return_exceptions=True))
        self.loop.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.pumps.add(task)
        task.add_done_callback(self.pumps.discard)
        try:
            await self.whole.wait()
            there = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(self.pump(reader, there[1]), self.pump(there[0], writer))
        finally:
            for end in (writer, there[1]):
                end.close()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                block = await reader.read(BLOCK)
                await self.whole.wait()
                if not block:
                    break
                writer.write(block)
                await writer.drain()
        # The other direction has nobody to talk to either: half-open connections are not what is tried here.
        writer.close()

    def cut(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.clear)

    def heal(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.set)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
