"""Proposals that wait for a person, as notices."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils import timezone

from training import access
from training.notices import Notice, source

from .actions import ADVICE_LASTS
from .models import Decision, DecisionState

KIND = "proposal"
# A rescale is carried out by hand, however long that takes.
OLDEST = timedelta(days=1)


@source(KIND)
def proposals(user: Any) -> Iterator[Notice]:
    now = timezone.now()
    waiting = Decision.objects.filter(state=DecisionState.PROPOSED, created_at__gt=now - OLDEST)
    waiting = access.visible(waiting, user).select_related("run__experiment").order_by("-id")[:100]
    for decision in waiting:
        run = decision.run
        yield Notice(
            kind=KIND,
            id=decision.pk,
            at=decision.created_at,
            project=run.experiment.project_id,
            title=decision.policy,
            text=decision.reason,
            run=run.code,
            run_name=run.name,
            experiment=run.experiment_id,
            tone="bad" if decision.urgent else "warning",
            data={
                "verb": decision.verb,
                "tunable": decision.tunable,
                "old_value": decision.old_value,
                "new_value": decision.new_value,
                "changes": decision.changes,
                "state": decision.state,
                "until": (decision.created_at + ADVICE_LASTS).isoformat(),
            },
        )
