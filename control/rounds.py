"""A tick's work on a handful of runs: follow and judge, decide, write down and send."""

import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar, cast

from django.db import transaction

from training.states import RunState

from . import history
from .compare import compare_forecasts
from .deadline import Patience
from .decide import Considered, consider
from .follow import follow_up, is_being_undone
from .gathering import Gathered
from .guards import InvalidSetting, Limits
from .learning.book import Book
from .models import Learning, Mode
from .proposals import Observation
from .record import ToRecord, overtake, store_all
from .registry import Registry
from .report import TickReport

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Decided: TypeAlias = tuple[history.Watched, list[tuple[Considered, Observation]]]


@dataclass
class Round:
    """What one tick does with its runs, a handful at a time: follow and judge, decide, write down and send.

    Policies are asked between the transactions, never inside one: nobody waits for a lock while they think.
    """

    registry: Registry
    now: datetime
    report: TickReport
    book: Book
    patience: Patience
    groups: Gathered = field(default_factory=Gathered)
    problems: dict[int, dict[str, str]] = field(default_factory=dict)

    def of(self, handful: Sequence[history.Watched]) -> None:
        self.report.runs += len(handful)
        followed = self.together([w for w in handful if w.decisions or w.unacted], self.follow_up)
        idle = [w for w in handful if not (w.decisions or w.unacted)]
        decided = [(watched, self.decide(watched)) for watched in (*followed, *idle)]
        self.together([pair for pair in decided if pair[1]], self.write_down)

    def together(self, items: Sequence[Item], do: Callable[[Sequence[Item]], None]) -> list[Item]:
        """Do it for all in one transaction; one by one where that fails. Those for which it was done."""
        if not items:
            return []
        before = copy(self.report)
        try:
            with transaction.atomic():
                do(items)
            return list(items)
        except Exception:  # noqa: BLE001  looked at again, one by one, just below
            # One run's odd rows must not keep the others from being looked after.
            vars(self.report).update(vars(before))
        return [item for item in items if self.alone(item, do)]

    def alone(self, item: Item, do: Callable[[Sequence[Item]], None]) -> bool:
        watched = cast(history.Watched, item[0] if isinstance(item, tuple) else item)
        before = copy(self.report)
        try:
            for decision in (*watched.decisions, *watched.unacted):
                # What was moved in the transaction that failed is not moved.
                decision.refresh_from_db()
                decision.run = watched.run
            with transaction.atomic():
                do([item])
        except Exception:
            vars(self.report).update(vars(before))
            logger.exception("controller: run %s was left out of this tick", watched.run.code)
            return False
        return True

    def follow_up(self, several: Sequence[history.Watched]) -> None:
        for watched in several:
            follow_up(watched, self.now, self.report)
            self.report.compared += compare_forecasts(watched, self.now)

    def decide(self, watched: history.Watched) -> list[tuple[Considered, Observation]]:
        """What is to be decided for the run now; what a policy failed at is noted."""
        settings = watched.settings
        if settings is None:
            return []
        noted = self.problems.setdefault(settings.pk, {})
        if watched.run.state != RunState.RUNNING or watched.mode == Mode.OFF or is_being_undone(watched):
            return []
        try:
            seen = self.groups.of(watched.run.code)
            followed = watched.decisions or watched.unacted
            shown = None if followed else watched.shown
            observed = (shown or history.observation(watched, self.now)).but(standing=seen.standing)
            limits = Limits.of(settings.guards)
            book = self.book if settings.learning == Learning.USE else None
            considered, problems = consider(
                observed, self.registry.policies, settings.policies, limits, book, seen.asking(self.patience)
            )
        except InvalidSetting as error:
            noted["guards"] = str(error)
            return []
        except Exception:
            logger.exception("controller: run %s was left out of this tick", watched.run.code)
            return []
        noted.update({problem.policy: problem.message for problem in problems})
        return [(item, observed) for item in considered]

    def write_down(self, several: Sequence[Decided]) -> None:
        wanted = [ToRecord(item, watched, seen) for watched, decided in several for item, seen in decided]
        for each in wanted:
            if each.item.refusal is not None:
                self.report.blocked += 1
            elif each.item.proposal.urgency and not each.item.shadow:
                overtake(each.watched, each.item)
            self.report.decided += each.item.refusal is None
        store_all(wanted, self.now)
