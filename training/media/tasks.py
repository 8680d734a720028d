"""Celery's part in media: one tick."""

from celery import shared_task

from . import retention


@shared_task(name="training.media", ignore_result=True)
def media_tick() -> None:
    """Let go of what is older than the site keeps it, and of files that belong to nothing."""
    retention.age()
    retention.sweep()
