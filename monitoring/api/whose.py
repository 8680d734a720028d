"""Whose runs are on the devices: known a layer up, which enters here how to tell what a caller may be told."""

from collections.abc import Callable
from typing import Any

Known = Callable[[Any], frozenset[str]]
asked: list[Known] = []


def ask(known: Known) -> None:
    """Enter the function that tells the codes of the live runs a user may see."""
    asked[:] = [known]


def seen_by(request: Any) -> frozenset[str]:
    """The codes that this caller may be told, looked up once a request."""
    if request is None or not asked:
        return frozenset()
    found = getattr(request, "codes_to_tell", None)
    if found is None:
        found = request.codes_to_tell = asked[0](request.user)
    return found
