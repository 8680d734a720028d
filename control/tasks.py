"""The controller's place in the beat (settings.CELERY_BEAT_SCHEDULE)."""

from dataclasses import asdict

from celery import shared_task

from . import loop, rescale


@shared_task(name="control.tick")
def tick() -> dict[str, int | bool]:
    """One round over all watched runs every five seconds, in between over those that set out; what it did."""
    return asdict(loop.tick_in_turn())


@shared_task(name="control.starts")
def starts() -> int:
    """Further looks until the next beat at those that set out; how many. Nobody does most of the time."""
    return loop.tick_starts_until_the_next_beat()


@shared_task(name="control.resources")
def resources() -> int:
    """Who should have other devices; how many decisions were made."""
    return rescale.tick()
