"""The alerts' places in the beat (settings.CELERY_BEAT_SCHEDULE)."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from . import tick as ticking
from .models import Alert, Delivery, Rule
from .sending import queue

KEEP = timedelta(days=90)


@shared_task(name="alerts.tick")
def tick() -> dict[str, int]:
    """One look at every rule; what it did."""
    return ticking.tick()


@shared_task(name="alerts.deliver")
def deliver() -> int:
    """Send what waits; how many messages were tried."""
    return queue.deliver()


@shared_task(name="alerts.forget")
def forget() -> int:
    """Remove what was resolved or sent three months ago, and rules removed by then; how many rows."""
    before = timezone.now() - KEEP
    gone, _ = Alert.objects.filter(resolved_at__lt=before).delete()
    _, rows = Rule.objects.filter(removed_at__lt=before, alerts=None).delete()
    without = rows.get(Rule._meta.label, 0)
    sent, _ = Delivery.objects.filter(created_at__lt=before).exclude(state=Delivery.State.WAITING).delete()
    return gone + without + sent
