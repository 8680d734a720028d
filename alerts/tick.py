"""The tick of the alerts: look at each rule, fire, resolve, and hand what is to be told to the channels."""

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from monitoring.live.publish import publish_change
from training.notices import tell

from .conditions import BadParameters, Span
from .found import Look, Subject
from .look import look
from .models import Alert, Rule
from .notices import KIND
from .sending.queue import enqueue

logger = logging.getLogger(__name__)
# A rule that is new, or was switched on again, does not tell of what is long over.
FIRST_LOOK = timedelta(seconds=60)
LOOKING = Q(enabled=True, removed_at=None)


def tick(now: datetime | None = None) -> dict[str, int]:
    """One round over all rules; what it did. A rule that fails keeps no other from being looked at."""
    now = now or timezone.now()
    done = {"rules": 0, "fired": 0, "resolved": 0, "failed": 0}
    for rule in Rule.objects.filter(LOOKING).select_related("project", "experiment"):
        done["rules"] += 1
        try:
            fired, resolved = of_rule(rule, now)
        except BadParameters as error:
            done["failed"] += 1
            note(rule, str(error))
        except Exception as error:
            logger.exception("alert rule %s could not be looked at", rule.pk)
            done["failed"] += 1
            note(rule, f"{type(error).__name__}: {error}")
        else:
            done["fired"] += len(fired)
            done["resolved"] += len(resolved)
    return done


def note(rule: Rule, problem: str) -> None:
    if rule.problem != problem[:500]:
        Rule.objects.filter(pk=rule.pk).update(problem=problem[:500])


def of_rule(rule: Rule, now: datetime) -> tuple[list[Alert], list[Alert]]:
    """Look at one rule and write what changed: (alerts that fired, alerts that were resolved)."""
    since = rule.looked_until or now - FIRST_LOOK
    seen = look(rule, since, now)
    with transaction.atomic():
        # First of all, so that it holds the row: who changes or removes it from here on ends what fires here. Nothing
        # fires of a look by what was changed meanwhile, nor of two looks at once.
        same = Rule.objects.filter(LOOKING, pk=rule.pk, looked_until=rule.looked_until)
        if not same.update(looked_until=now, problem=""):
            return [], []
        fired, resolved = settle(rule, seen, since, now)
        if not is_muted(rule, now):
            # One that came and went within a look is told of once.
            enqueue(rule, [a for a in fired if a.times == 1], "firing", now)
            enqueue(rule, [a for a in resolved if a not in fired], "resolved", now)
    announce(fired + resolved)
    return fired, resolved


def is_muted(rule: Rule, now: datetime) -> bool:
    return rule.muted_until is not None and rule.muted_until > now


def settle(rule: Rule, seen: Look, since: datetime, now: datetime) -> tuple[list[Alert], list[Alert]]:
    firing = {alert.subject: alert for alert in rule.alerts.filter(resolved_at=None)}
    fired, resolved = [], []
    for subject, spans in seen.spans.items():
        span, alert = spans[-1], firing.pop(subject.name, None)
        if alert is not None:
            if span.end is None:
                refresh(alert, span)
            else:
                resolved.append(resolve(alert, moment(span.end)))
        elif span.end is None or span.end > since.timestamp():
            alert = fire(rule, subject, span, now)
            if alert is not None:
                fired.append(alert)
                if span.end is not None:
                    resolved.append(resolve(alert, max(moment(span.end), alert.started_at)))
    # What does not hold any more, or is looked at no longer.
    resolved += [resolve(alert, now) for alert in firing.values()]
    return fired, resolved


def fire(rule: Rule, subject: Subject, span: Span, now: datetime) -> Alert | None:
    """A new alert, or the last one again where it came back soon; None where another tick was quicker."""
    last = rule.alerts.filter(subject=subject.name).order_by("-id").first()
    # One that a person ended by a change of the rule was told to be over: what comes after it is another.
    over = last.resolved_at if last is not None and not last.end_reason else None
    if last is not None and over is not None and now - over < timedelta(seconds=rule.quiet_seconds):
        if span.end is not None and moment(span.end) <= over:
            return None  # the very span that was told of
        last.resolved_at, last.times = None, last.times + 1
        last.message, last.value = span.message[:1000], plain(span.value)
        last.save(update_fields=["resolved_at", "times", "message", "value"])
        return last
    try:
        with transaction.atomic():
            return Alert.objects.create(
                rule=rule,
                subject=subject.name,
                label=subject.label,
                project=subject.project or rule.project,
                run=subject.run,
                node=subject.node,
                message=span.message[:1000],
                value=plain(span.value),
                step=span.step,
                started_at=moment(span.start),
                fired_at=now,
            )
    except IntegrityError:
        return None


def refresh(alert: Alert, span: Span) -> None:
    if alert.message != span.message[:1000]:
        Alert.objects.filter(pk=alert.pk).update(message=span.message[:1000], value=plain(span.value))


def resolve(alert: Alert, at: datetime, reason: str = "") -> Alert:
    alert.resolved_at, alert.end_reason = at, reason
    alert.save(update_fields=["resolved_at", "end_reason"])
    return alert


def announce(alerts: list[Alert]) -> None:
    """Tell the pages that something changed; they read what."""
    if not alerts:
        return
    publish_change("alerts", "alert", {"changed": len(alerts)})
    tell(KIND)
    by_run: dict[str, int] = defaultdict(int)
    for alert in alerts:
        if alert.run is not None:
            by_run[alert.run.code] += 1
    for code, number in by_run.items():
        publish_change(f"run:{code}", "alert", {"changed": number})


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def plain(value: float | None) -> float | None:
    """JSON and the database's order know no NaN; the message tells it."""
    return value if value is None or abs(value) < float("inf") else None
