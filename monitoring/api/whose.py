"""Whose runs are on the devices: known a layer up, which enters here how to tell what a caller may be told."""

from collections.abc import Callable, Mapping
from typing import Any

Codes = Callable[[Any], Mapping[str, str]]
Processes = Callable[[Any], Mapping[tuple[str, int], str]]
asked: list[tuple[Codes, Processes]] = []


def ask(codes: Codes, processes: Processes) -> None:
    """Enter the functions that tell {code: name} of the live runs that a user may see, and {(host, pid): code} of
    their processes as these told it themselves."""
    asked[:] = [(codes, processes)]


def seen_by(request: Any) -> Mapping[str, str]:
    """{code: name} that this caller may be told, looked up once a request."""
    return once(request, "codes_to_tell", 0)


def run_of(request: Any, host: str, pid: Any) -> str | None:
    """The run that a process of a host said it is of: one that was started by hand has no code in its environment."""
    return once(request, "processes_to_tell", 1).get((host, pid))


def once(request: Any, name: str, which: int) -> Mapping[Any, str]:
    if request is None or not asked:
        return {}
    found: Mapping[Any, str] | None = getattr(request, name, None)
    if found is None:
        found = asked[0][which](request.user)
        setattr(request, name, found)
    return found
