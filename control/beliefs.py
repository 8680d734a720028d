"""Beliefs as rows: read by the tick, taught by verdicts, carried between sites as JSON.

A verdict counts once: the decision's flag `taught` and the tallies change in one transaction, and only who moves the
flag adds to them.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max
from django.utils import timezone

from .learning.actions import action_of
from .learning.book import Book, Key, Lesson
from .learning.posterior import Tally, left_after
from .models import BeliefTally, ControllerSettings, Decision, Learning, Verdict

FORMAT = "scaleweb beliefs 1"
COUNTS = ("better", "same", "worse", "unclear", "gains")
FIGURES = ("mean", "squares")
MOST_AT_ONCE = 500
MOST_IMPORTED = 100_000

_last: tuple[Any, Book] = (None, Book())


class BadBeliefs(ValueError):
    """A file of beliefs that cannot be taken; the message says what and where."""


def book() -> Book:
    """All beliefs of the site. Read again only when a row has changed or a day is over: one small query else."""
    global _last
    version = BeliefTally.objects.aggregate(rows=Count("id"), newest=Max("changed_at"))
    version["day"] = timezone.now().date()
    if _last[0] != version:
        _last = version, Book({key_of(row): tally_of(row) for row in BeliefTally.objects.all()})
    return _last[1]


def key_of(row: BeliefTally) -> Key:
    return row.policy, row.action, row.context


def tally_of(row: BeliefTally) -> Tally:
    """What the row is worth today: its verdicts have lost weight since it was last written, by whole days."""
    days = (timezone.now().date() - row.changed_at.date()).days
    found = Tally(**{name: getattr(row, name) for name in (*COUNTS, *FIGURES)})
    return found.aged(left_after(days, settings.BELIEF_HALF_LIFE_DAYS))


def teach() -> int:
    """Learn from every verdict that has not been learned from yet. Returns how many were.

    Idempotent, and safe beside another tick: each decision's flag is moved by one of them.
    """
    waiting = Decision.objects.filter(taught=False).exclude(verdict="").order_by("id")
    ids = list(waiting.values_list("pk", flat=True)[:MOST_AT_ONCE])
    if not ids:
        return 0
    learned = 0
    with transaction.atomic():
        lessons: list[Lesson] = []
        silent = set(
            ControllerSettings.objects.filter(learning=Learning.OFF).values_list("experiment_id", flat=True)
        )
        for decision in Decision.objects.filter(pk__in=ids).select_related("run").order_by("id"):
            if not Decision.objects.filter(pk=decision.pk, taught=False).update(taught=True):
                continue
            if decision.run.experiment_id not in silent and was_measured(decision):
                lessons.append(lesson_of(decision))
                learned += 1
        add(lessons)
    return learned


def was_measured(decision: Decision) -> bool:
    """False where it is unclear because nothing could be compared: a person's hand, an ended run, too few points."""
    return decision.verdict != Verdict.UNCLEAR or decision.measured.get("difference") is not None


def lesson_of(decision: Decision) -> Lesson:
    """What a judged decision teaches. Those from before there were beliefs have no context."""
    known = decision.evidence.get("belief")
    known = known if isinstance(known, Mapping) else {}
    action = known.get("action") or action_of(decision.changes, {})
    return Lesson(
        decision.policy,
        str(action),
        str(known.get("context") or "unknown"),
        decision.verdict,
        gain_of(decision),
    )


def gain_of(decision: Decision) -> float | None:
    """How much better the metric was than its forecast, as a logarithm; None where that is no ratio."""
    difference, metric = decision.measured.get("difference"), decision.measured.get("metric")
    # The verdict may rest on another metric, one that was not to be harmed.
    forecasts = [decision.forecast, *decision.forecast.get("unharmed", ())]
    fixed: Mapping[str, Any] = next((each for each in forecasts if each.get("metric") == metric), {})
    if not fixed.get("log") or not isinstance(difference, int | float) or difference <= -1:
        return None
    gain = math.log1p(difference)
    return gain if fixed.get("direction") == "max" else -gain


def add(lessons: Iterable[Lesson]) -> None:
    """Add lessons to their tallies, in a transaction. Rows are locked in the order of their keys: no deadly embrace."""
    news: dict[Key, list[Lesson]] = {}
    for lesson in lessons:
        news.setdefault(lesson.key, []).append(lesson)
    for key in sorted(news):
        change(key, partial(taught, news[key]))


def taught(lessons: Iterable[Lesson], tally: Tally) -> Tally:
    for lesson in lessons:
        tally = tally.taught(lesson.verdict, lesson.gain)
    return tally


def change(key: Key, how: Callable[[Tally], Tally]) -> None:
    policy, action, context = key
    row, _ = BeliefTally.objects.get_or_create(policy=policy, action=action, context=context)
    row = BeliefTally.objects.select_for_update().get(pk=row.pk)
    tally = how(tally_of(row))
    for name in (*COUNTS, *FIGURES):
        setattr(row, name, getattr(tally, name))
    row.save()


def export() -> dict[str, Any]:
    """All tallies as they are worth today, as JSON, for another site or for safe keeping."""
    rows = [
        {"policy": row.policy, "action": row.action, "context": row.context}
        | {name: getattr(tally, name) for name in (*COUNTS, *FIGURES)}
        for row in BeliefTally.objects.all()
        for tally in [tally_of(row)]
    ]
    return {"format": FORMAT, "beliefs": rows}


def load(data: Any, merge: bool = False) -> int:
    """Take exported beliefs in place of the site's own; with `merge` add them to those. Returns how many.

    All or nothing. Merging the same file twice counts its verdicts twice. Raises BadBeliefs.
    """
    found = [checked(row, number) for number, row in enumerate(rows_of(data), 1)]
    keys = [key for key, _ in found]
    twice = (
        next((key for number, key in enumerate(keys) if key in set(keys[:number])), None)
        if len(set(keys)) != len(keys)
        else None
    )
    if twice:
        raise BadBeliefs(f"the belief {' / '.join(twice)} is there twice")
    with transaction.atomic():
        if not merge:
            BeliefTally.objects.all().delete()
        for key, tally in sorted(found, key=lambda pair: pair[0]):
            change(key, tally.plus)
    return len(found)


def rows_of(data: Any) -> list[Any]:
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        told = (
            f"the keys {', '.join(map(str, data)) or 'none'}"
            if isinstance(data, Mapping)
            else type(data).__name__
        )
        if isinstance(data, Mapping) and "format" in data:
            told = f"the format {data['format']!r}"
        raise BadBeliefs(
            f'expected {{"format": "{FORMAT}", "beliefs": […]}} as an export writes it, got {told:.120}'
        )
    rows = data.get("beliefs")
    if not isinstance(rows, list) or len(rows) > MOST_IMPORTED:
        raise BadBeliefs(f"beliefs must be a list of at most {MOST_IMPORTED} rows")
    return rows


def checked(row: Any, number: int) -> tuple[Key, Tally]:
    """One row of a file. Raises BadBeliefs."""
    if not isinstance(row, Mapping):
        raise BadBeliefs(f"belief {number} must be a map, got {row!r:.80}")
    texts = []
    for name, longest in (("policy", 100), ("action", 200), ("context", 100)):
        value = row.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= longest or "\x00" in value:
            raise BadBeliefs(
                f"belief {number}: {name} must be a text of 1 to {longest} characters, got {value!r:.80}"
            )
        texts.append(value)
    counts: dict[str, Any] = {}
    for name in COUNTS:
        value = row.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**9:
            raise BadBeliefs(f"belief {number}: {name} must be a number in 0..1e9, got {value!r:.80}")
        counts[name] = value
    # Aged counts are sums of fractions: the last digits may differ.
    if counts["gains"] > (counts["better"] + counts["same"] + counts["worse"]) * (1 + 1e-9):
        raise BadBeliefs(f"belief {number}: gains counts {counts['gains']}, more than there are verdicts")
    figures: dict[str, Any] = {}
    for name in FIGURES:
        value = row.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadBeliefs(f"belief {number}: {name} must be a finite number, got {value!r:.80}")
        figures[name] = float(value)
    if figures["squares"] < 0 or abs(figures["mean"]) > 10 or figures["squares"] > 1e12:
        raise BadBeliefs(f"belief {number}: a mean gain within -10..10 and squares of 0 or more are expected")
    return (texts[0], texts[1], texts[2]), Tally(**counts, **figures)


def reset(policy: str = "") -> int:
    """Forget all beliefs, or those of one policy. Returns how many. Verdicts that were learned from stay learned."""
    rows = BeliefTally.objects.filter(policy=policy) if policy else BeliefTally.objects.all()
    return rows.delete()[0]
