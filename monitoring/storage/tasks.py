"""Ticks of the store."""

from celery import shared_task

from .compact import compact


@shared_task(name="monitoring.compact", ignore_result=True)
def compact_batches() -> None:
    """Turn what has gathered since the last tick into chunks."""
    compact()
