"""Alerts that fire and that nobody looks after yet, as notices."""

from collections.abc import Iterator
from typing import Any

from training.notices import Notice, source

from . import access
from .models import Alert, Severity

KIND = "alert"
TONES = {Severity.INFO: "neutral", Severity.WARNING: "warning", Severity.CRITICAL: "bad"}


@source(KIND)
def alerts(user: Any) -> Iterator[Notice]:
    waiting = Alert.objects.filter(resolved_at=None, acknowledged_at=None)
    waiting = access.visible(waiting, user).select_related("rule", "run", "node").order_by("-id")[:100]
    for alert in waiting:
        yield Notice(
            kind=KIND,
            id=alert.pk,
            at=alert.started_at,
            project=alert.project_id,  # none: the whole site's, its administrators answer
            title=alert.rule.name,
            text=alert.message,
            run=alert.run.code if alert.run else "",
            run_name=alert.run.name if alert.run else "",
            experiment=alert.run.experiment_id if alert.run else None,
            tone=TONES[Severity(alert.rule.severity)],
            data={
                "label": alert.label,
                "severity": alert.rule.severity,
                "node": alert.node.name if alert.node else "",
                "step": alert.step,
            },
        )
