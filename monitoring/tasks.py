"""Ticks of the monitoring side."""

from celery import shared_task

from .nodes import mark_absent


@shared_task(name="monitoring.node_states", ignore_result=True)
def node_states() -> None:
    """Mark nodes that have not been heard of."""
    mark_absent()
