"""What waits for a person: one list, whatever it is. Each kind has one source, entered where its part is set up.

A source is a function of the user: what of its kind waits that they may see. `tell` makes open pages ask again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitoring.live.publish import publish_change

MOST = 200
TOPIC = "notices"


@dataclass(frozen=True)
class Notice:
    """kind and id name it; `title` is a few words, `text` a sentence; `project` is where it is answered,
    None for the whole site.

    run, experiment: what it is about, where it is about one. data: what the kind's own line on the page needs.
    """

    kind: str
    id: int
    at: datetime
    project: int | None
    title: str
    text: str
    run: str = ""
    run_name: str = ""
    experiment: int | None = None
    tone: str = "warning"  # neutral, warning, bad
    data: dict[str, Any] = field(default_factory=dict)


Source = Callable[[Any], Iterable[Notice]]
SOURCES: dict[str, Source] = {}


def source(kind: str) -> Callable[[Source], Source]:
    """Decorator: enter a kind of notice."""

    def enter(function: Source) -> Source:
        SOURCES[kind] = function
        return function

    return enter


def waiting_for(user: Any) -> list[Notice]:
    """All that waits, newest first."""
    found = [notice for each in SOURCES.values() for notice in each(user)]
    return sorted(found, key=lambda notice: notice.at, reverse=True)[:MOST]


def tell(kind: str) -> None:
    """Something of this kind came, or was answered. Anybody with a login may watch the topic: it says no more."""
    publish_change(TOPIC, "notice", {"kind": kind})
