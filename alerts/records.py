"""Looks at conditions over what the site records beside series: states, leases, the queue, decisions."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from control.actions import ADVICE_LASTS
from control.models import Decision, DecisionMode, DecisionState
from training.models import Attempt, JobState, Run, RunEvent

from . import scope, series
from .conditions import Span, Stalled, held
from .conditions.base import figure, say, spans_where
from .found import Look, Subject, of_node, of_run
from .models import Rule

# An end that nobody looked after is no news any more.
OLD = timedelta(days=7)
MOST = 500
D = DecisionState


def run_state(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    found = states_that_hold(rule, condition, since, until, past)
    return with_states_left(found, rule, condition, since, until) if past else found


def states_that_hold(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    begin = since if past else max(rule.created_at, until - OLD)
    rows = scope.within(Run.objects.filter(state__in=condition.states), rule, "experiment")
    rows = rows.filter(Q(ended_at__gte=begin) | Q(ended_at=None)).select_related("experiment__project")
    runs = list(rows.order_by("-id")[: MOST + 1])
    entered = {
        event.run_id: event
        for event in RunEvent.objects.filter(run__in=runs, kind="state", at__gte=begin - OLD).order_by("id")
    }
    found = Look(looked_at=len(runs), left_out=max(0, len(runs) - MOST))
    for run in runs[:MOST]:
        event = entered.get(run.pk)
        start = run.ended_at or (event.at if event else begin)
        span = Span(start.timestamp(), None, None, run.last_step, told_of(run.state, event))
        keep(found, of_run(run), [span], rule, until)
    return found


def with_states_left(found: Look, rule: Rule, condition: Any, since: datetime, until: datetime) -> Look:
    """The same, and the times in such a state that are over: a run that failed and was queued anew."""
    rows = scope.within(RunEvent.objects.filter(kind="state", at__gte=since), rule, "run__experiment")
    rows = rows.filter(Q(new__in=condition.states) | Q(old__in=condition.states))
    entered: dict[int, RunEvent] = {}
    left: dict[Subject, list[Span]] = defaultdict(list)
    for event in rows.select_related("run__experiment__project").order_by("id")[: 4 * MOST]:
        begun = entered.pop(event.run_id, None)
        if begun is not None:
            span = Span(
                begun.at.timestamp(), event.at.timestamp(), None, begun.step, told_of(begun.new, begun)
            )
            left[of_run(event.run)].append(span)
        if event.new in condition.states:
            entered[event.run_id] = event
    for subject, spans in left.items():
        lasting = held(spans, rule.hold_seconds, until.timestamp())
        if lasting:
            found.spans[subject] = lasting + found.spans.get(subject, [])
    return replace(found, looked_at=max(found.looked_at, len(found.spans)))


def told_of(state: str, event: RunEvent | None) -> str:
    why = event.reason.strip().split("\n")[0] if event else ""
    return (f"{state}: {why}" if why else state)[:1000]


def node_silent(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    nodes = list(scope.nodes(rule))
    found = Look(looked_at=len(nodes))
    end = until.timestamp()
    for node in nodes:
        seen = node.last_seen_at
        spans: list[Span] = []
        if past:
            key = next(iter(node.latest), "")
            track = key and series.read(
                node.source, key, None, since.timestamp(), end, Stalled(condition.seconds)
            )
            spans = Stalled(condition.seconds).spans(track, end, live=False) if track else []
        if seen is not None and end - seen.timestamp() > condition.seconds:
            spans.append(Span(seen.timestamp() + condition.seconds, None))
        told = say(spans, lambda _: f"not heard of for {condition.seconds:g} s")
        keep(found, of_node(node), told, rule, until)
    return found


def idle_device(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    rows = scope.within(Attempt.objects.all(), rule, "job__run__experiment")
    alive = Q(ended_at=None) | Q(ended_at__gte=since) if past else Q(ended_at=None)
    rows = rows.filter(alive, devices__kind=condition.kind).distinct().order_by("-id")
    attempts = list(
        rows.select_related("node", "job__run__experiment__project").prefetch_related("devices")[: MOST + 1]
    )
    found = Look(looked_at=len(attempts), left_out=max(0, len(attempts) - MOST))
    end = until.timestamp()
    for attempt in attempts[:MOST]:
        begin = max(attempt.started_at or attempt.created_at, since - timedelta(seconds=rule.hold_seconds))
        stop = min(end, attempt.ended_at.timestamp()) if attempt.ended_at else end
        for device in attempt.devices.all():
            if device.kind != condition.kind:
                continue
            key = device.key_prefix + "utilisation_ratio"
            track = series.read(attempt.node.source, key, None, begin.timestamp(), stop, None)
            if track is None:
                continue
            spans = say(
                spans_where(track.values < condition.below, track),
                lambda span: f"used {figure(span.value)} of 1, below {figure(condition.below)}",
            )
            if attempt.ended_at is not None:
                spans = [closed(span, stop) for span in spans]
            run = attempt.job.run
            label = f"{device.kind}{device.index} of {attempt.node.name}, held by {run.name}"
            subject = Subject(f"run:{run.code}/{attempt.node.name}/{key}", label[:300], run, attempt.node)
            keep(found, subject, spans, rule, until)
    return found


def queue_wait(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    rows = scope.jobs(rule)
    waiting = Q(state=JobState.QUEUED)
    rows = rows.filter(waiting | Q(attempts__created_at__gte=since) if past else waiting).distinct()
    jobs = list(
        rows.select_related("run__experiment__project")
        .prefetch_related("attempts")
        .order_by("-id")[: MOST + 1]
    )
    found = Look(looked_at=len(jobs), left_out=max(0, len(jobs) - MOST))
    for job in jobs[:MOST]:
        spans: list[tuple[datetime, datetime | None]] = []
        free = job.submitted_at
        for attempt in sorted(job.attempts.all(), key=lambda each: each.number):
            spans.append((free, attempt.created_at))
            free = attempt.ended_at or until
        if job.state == JobState.QUEUED:
            spans.append((free, None))
        why = f": {job.waiting_reason}" if job.waiting_reason else ""
        message = f"waits for more than {condition.seconds:g} s{why}"[:1000]
        long = [
            Span(
                begin.timestamp() + condition.seconds,
                None if end is None else end.timestamp(),
                None,
                None,
                message,
            )
            for begin, end in spans
            if ((end or until) - begin).total_seconds() > condition.seconds and (end is None or end > since)
        ]
        subject = Subject(f"job:{job.code}", f"job of {job.run.name}"[:300], job.run)
        keep(found, subject, long, rule, until)
    return found


def controller(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    rows = scope.within(Decision.objects.all(), rule, "run__experiment")
    if condition.policy:
        rows = rows.filter(policy__icontains=condition.policy)
    if condition.when == "waits":
        rows = rows.filter(mode=DecisionMode.ADVISE)
        waited = Q(created_at__gte=since) & ~Q(state__in=(D.RECORDED, D.BLOCKED))
        rows = rows.filter(Q(state=D.PROPOSED) | waited if past else Q(state=D.PROPOSED))
    elif condition.when == "acted":
        rows = rows.filter(created_at__gte=since, mode=DecisionMode.ACT, command__isnull=False)
    else:
        rows = rows.filter(judged_at__gte=since, undo_command__isnull=False)
    decisions = list(rows.select_related("run__experiment__project", "command").order_by("-id")[: MOST + 1])
    found = Look(looked_at=len(decisions), left_out=max(0, len(decisions) - MOST))
    for decision in decisions[:MOST]:
        at = decision.judged_at if condition.when == "undone" and decision.judged_at else decision.created_at
        end = waited_until(decision) if condition.when == "waits" else at.timestamp()
        told = {"waits": "waits for a word", "acted": "acted", "undone": "took back"}[condition.when]
        message = f"{decision.policy} {told}: {decision.reason}"[:1000]
        span = Span(at.timestamp(), end, None, decision.decided_step, message)
        name = f"run:{decision.run.code}/decision{decision.pk}"
        keep(found, Subject(name, decision.run.name, decision.run), [span], rule, until)
    return found


def waited_until(decision: Decision) -> float | None:
    """None while it waits. When a person refused it is not kept: it was before its advice grew old."""
    if decision.state == D.PROPOSED:
        return None
    ends = [decision.created_at + ADVICE_LASTS, decision.run.ended_at, timezone.now()]
    if decision.command is not None:
        ends.append(decision.command.created_at)
    return min(each for each in ends if each is not None and each >= decision.created_at).timestamp()


def keep(found: Look, subject: Subject, spans: list[Span], rule: Rule, until: datetime) -> None:
    lasting = held(spans, rule.hold_seconds, until.timestamp())
    if lasting:
        found.spans[subject] = lasting


def closed(span: Span, end: float) -> Span:
    return span if span.end is not None else Span(span.start, end, span.value, span.step, span.message)


LOOKS: dict[str, Callable[..., Look]] = {
    "run_state": run_state,
    "node_silent": node_silent,
    "idle_device": idle_device,
    "queue_wait": queue_wait,
    "controller": controller,
}
