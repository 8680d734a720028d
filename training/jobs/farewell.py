"""How the script itself said that an attempt ended: by the last event that its process sent over the link."""

from training.models import Attempt, RunEvent

Outcome = Attempt.Outcome


def last_word(attempt: Attempt) -> str | None:
    """finished, failed or stopped; None where its process said nothing of its end."""
    said = RunEvent.objects.filter(run=attempt.job.run_id, kind="finish", at__gte=attempt.created_at)
    for event in said.order_by("-id"):
        # What an older attempt says late, cut off until then, is not this one's word; nor is that of another rank.
        number = event.data.get("attempt") or attempt.number
        if number == attempt.number and event.actor in {"process 0", "system"}:
            return event.new if event.new in Outcome.values else None
    return None
