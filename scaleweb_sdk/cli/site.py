"""The site as the command line speaks to it, and how it prints."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from scaleweb_sdk import settings
from scaleweb_sdk.rest import Declined, request


class Wrong(Exception):
    """What cannot be done, in a sentence for the person at the terminal."""


class Site:
    """The REST API under the stored or given address and token."""

    def __init__(self, url: str = "", token: str = "") -> None:
        self.url, self.token = settings.credentials(url, token)
        if not self.url or not self.token:
            raise Wrong("no address or token is known: `scaleweb login http://127.0.0.1:8000` stores them")

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return request(self.url, path + (f"?{urlencode(given, doseq=True)}" if given else ""), self.token)

    def found(self, path: str) -> Any:
        """What is at this address; None where nothing is."""
        try:
            return self.get(path)
        except Declined as declined:
            if declined.status == 404:
                return None
            raise

    def run(self, code: str) -> Any:
        """A run by its own code or its job's: `submit` prints both. None where neither is there."""
        if (run := self.found(f"runs/{quote(code, safe='')}")) is not None:
            return run
        job = self.found(f"jobs/{quote(code, safe='')}")
        return None if job is None else self.get(f"runs/{job['run']}")

    def known_run(self, code: str) -> Any:
        if (run := self.run(code)) is None:
            raise Wrong(f"{code!r} is no run or job that you may see; `scaleweb runs` lists those")
        return run

    def post(self, path: str, body: Any = None) -> Any:
        return request(self.url, path, self.token, body or {})

    def put(self, path: str, body: Any) -> Any:
        return request(self.url, path, self.token, body, method="PUT")

    def delete(self, path: str, body: Any) -> Any:
        return request(self.url, path, self.token, body, method="DELETE")


def number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def summary(run: dict[str, Any]) -> str:
    shown = [(key, value) for key, value in run["summary"].items() if not key.startswith("_")]
    return "  ".join(f"{key} {number(value)}" for key, value in shown[:3])


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
