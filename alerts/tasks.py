"""The alerts' places in the beat (settings.CELERY_BEAT_SCHEDULE)."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from . import tick as ticking
from .models import Alert, Delivery
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
    """Remove what was resolved or sent three months ago; how many rows."""
    before = timezone.now() - KEEP
    gone, _ = Alert.objects.filter(resolved_at__lt=before).delete()
    sent, _ = Delivery.objects.filter(created_at__lt=before).exclude(state=Delivery.State.WAITING).delete()
    return gone + sent
