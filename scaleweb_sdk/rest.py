"""Calls of the REST API with the standard library alone."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any


class Unreachable(Exception):
    """No answer, or one that says to come again later."""


class Declined(Exception):
    """The server's reason for not doing what was asked. status: of its answer; 0 where it was not asked."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


def request(
    url: str,
    path: str,
    token: str,
    body: Any = None,
    method: str = "",
    timeout: float = 10,
    raw: bytes | None = None,
) -> Any:
    """One call: JSON there and back, or `raw` bytes there. Raises Unreachable or Declined."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    if not url.startswith(("http://", "https://")):
        raise Declined(f"the address {url!r} is none: expected one such as http://127.0.0.1:8000")
    if not token.isascii() or not token.isprintable():
        raise Declined("the token holds characters that no token has; copy it once more")
    try:
        asked = urllib.request.Request(  # noqa: S310  the address is the user's own setting
            f"{url.rstrip('/')}/api/v1/{path}",
            data,
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json" if raw is None else "application/octet-stream",
                "Accept": "application/json",
            },
            method=method or ("GET" if data is None else "POST"),
        )
        with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        if error.code >= 500 or error.code == 429:
            raise Unreachable(f"the server answered {error.code}") from error
        raise Declined(sentence(error), error.code) from error
    except json.JSONDecodeError as error:
        raise Declined(f"{url} answers, but not as ScaleWeb does") from error
    except urllib.error.URLError as error:
        raise Unreachable(str(error.reason)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error


def sentence(error: urllib.error.HTTPError) -> str:
    try:
        answer = json.loads(error.read())
        fields = "; ".join(
            f"{name}: {' '.join(map(str, words))}" for name, words in answer.get("fields", {}).items()
        )
        return fields or str(answer.get("detail") or answer)
    except (ValueError, AttributeError, OSError):
        return f"the server answered {error.code} {error.reason}"
