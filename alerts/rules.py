"""What becomes of a rule's alerts when a person changes it, switches it off, removes it or brings it back."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from .models import Alert, Rule
from .sending.queue import enqueue
from .tick import announce, is_muted, resolve

# Another of these is another rule to whoever reads its alerts: what fires by the old one is over.
WATCHED = ("condition", "parameters", "hold_seconds", "experiment_id", "project_id", "enabled")
Reason = Alert.EndReason


def watched(rule: Rule) -> dict[str, object]:
    """What the rule looks for, to be held against what it looks for after a change."""
    return {name: getattr(rule, name) for name in WATCHED}


def changed(rule: Rule, before: dict[str, object], now: datetime | None = None) -> None:
    """After a rule was saved: end what it has firing, unless it watches for the same as `before`."""
    if watched(rule) == before:
        return
    with transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(looked_until=None, problem="")
        ended = end_all(rule, Reason.CHANGED if rule.enabled else Reason.OFF, now or timezone.now())
    announce(ended)


def remove(rule: Rule, now: datetime | None = None) -> bool:
    """Take a rule away: what it has firing is over, and all that it found can still be read. False: it was gone."""
    now = now or timezone.now()
    with transaction.atomic():
        if not Rule.objects.filter(pk=rule.pk, removed_at=None).update(removed_at=now):
            return False
        ended = end_all(rule, Reason.REMOVED, now)
    announce(ended)
    return True


def restore(rule: Rule, now: datetime | None = None) -> bool:
    """Bring a removed rule back, and what its removal ended fires on, until the next look. False: it was there."""
    now = now or timezone.now()
    with transaction.atomic():
        rule = Rule.objects.select_for_update().get(pk=rule.pk)
        removed = Rule.objects.filter(pk=rule.pk).exclude(removed_at=None)
        if not removed.update(removed_at=None, looked_until=None, problem=""):
            return False
        again = list(
            rule.alerts.filter(end_reason=Reason.REMOVED, resolved_at=rule.removed_at).select_related(
                "run", "node"
            )
        )
        Alert.objects.filter(pk__in=[alert.pk for alert in again]).update(resolved_at=None, end_reason="")
        for alert in again:
            alert.resolved_at, alert.end_reason = None, ""
        if not is_muted(rule, now):
            enqueue(rule, again, "firing", now, again=True)
    announce(again)
    return True


def end_all(rule: Rule, reason: str, now: datetime) -> list[Alert]:
    """Resolve what a rule has firing and tell its channels. Call it in the transaction that changed the rule's row."""
    firing = rule.alerts.filter(resolved_at=None).select_related("run", "node")
    ended = [resolve(alert, now, reason) for alert in firing]
    if not is_muted(rule, now):
        enqueue(rule, ended, "resolved", now)
    return ended
