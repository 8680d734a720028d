"""Media as a process of a run sends them."""

import hashlib
import struct
import zlib

from django.test import Client

from tests.support.domain import a_run_token


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


PNG = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\x7f")) + chunk(b"IEND", b"")
)  # fmt: skip


class Sender(Client):
    """A process of a run: its token, pieces, items."""

    def __init__(self, run, **options):
        super().__init__(**options)
        self.code, self.headers_ = run.code, {"Authorization": f"Bearer {a_run_token(run)}"}

    def piece(self, body, offset=0, piece=None, sha256=None):
        sha256 = sha256 or hashlib.sha256(body).hexdigest()
        address = f"/api/v1/runs/{self.code}/media/pieces/{sha256}?offset={offset}&size={len(body)}"
        part = body if piece is None else piece
        return self.put(address, part, content_type="application/octet-stream", headers=self.headers_)

    def items(self, *items):
        whole = [
            {"uid": f"s-{n}", "key": "sample", "step": 3, "at": 1.7e9} | item for n, item in enumerate(items)
        ]
        address = f"/api/v1/runs/{self.code}/media"
        return self.post(address, {"items": whole}, content_type="application/json", headers=self.headers_)

    def send(self, body, kind="image", **more):
        assert self.piece(body).json()["whole"]
        return self.items({"kind": kind, "sha256": hashlib.sha256(body).hexdigest()} | more)
