"""Celery's part in working copies: one tick."""

from celery import shared_task

from . import retention


@shared_task(name="training.copies", ignore_result=True)
def copies_tick() -> None:
    """Let go of what no job has."""
    retention.sweep()
