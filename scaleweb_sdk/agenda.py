"""Orders that wait for a step: kept in the process, so that each is applied at its very step, server or no server."""

import bisect
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from .protocol import Order


@dataclass(frozen=True)
class Entry:
    """Orders that are applied together once the run is at `step`: one, or a group."""

    step: int
    seq: int  # of the first
    orders: tuple[Order, ...]

    @property
    def place(self) -> tuple[int, int]:
        return self.step, self.seq


class Agenda:
    """What waits, in the order of steps. `due`: the step of the next, infinity with none; looked at each step."""

    def __init__(self) -> None:
        self.due: float = math.inf
        self._entries: list[Entry] = []
        # Told again after a reconnection, these are the ones that wait here or were applied.
        self.known: set[int] = set()

    def enter(self, orders: Collection[Order]) -> None:
        """Keep orders of one step. Those marked `again` want no answer and are no order's first telling."""
        first = next(iter(orders))
        assert first.at_step is not None
        entry = Entry(first.at_step, first.seq, tuple(orders))
        bisect.insort(self._entries, entry, key=lambda each: each.place)
        self._look()

    def take(self, step: int) -> Entry | None:
        """The next that is due at `step`."""
        if step < self.due:
            return None
        entry = self._entries.pop(0)
        self._look()
        return entry

    def drop(self, seqs: Collection[int]) -> None:
        """Let go of these orders, and of the groups that they are in: those are applied whole or not at all."""
        self._keep(lambda entry: not any(order.seq in seqs and not order.again for order in entry.orders))

    def drop_again(self, tunable: str) -> None:
        """Let go of what an earlier process had set: somebody set it since."""
        self._keep(lambda entry: not any(order.again and order.tunable == tunable for order in entry.orders))

    def _keep(self, wanted: Callable[[Entry], bool]) -> None:
        self._entries = [entry for entry in self._entries if wanted(entry)]
        self._look()

    def _look(self) -> None:
        self.due = self._entries[0].step if self._entries else math.inf
