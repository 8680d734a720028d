"""Ticks of the store."""

from celery import shared_task

from .compact import compact
from .log_chunks import gather
from .retention import age


@shared_task(name="monitoring.compact", ignore_result=True)
def compact_batches() -> None:
    """Turn what has gathered since the last tick into chunks."""
    gather()
    compact()


@shared_task(name="monitoring.age_series", ignore_result=True)
def age_series() -> None:
    """Let the points go that are older than the site keeps them."""
    age()
