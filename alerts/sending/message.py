"""What is told: one message for all that a rule found in one look, as JSON and as words."""

from typing import Any

from django.conf import settings

from alerts.models import Alert, Rule

# A cluster that loses its storage fails a thousand runs at once: one message says how many.
MOST_LISTED = 50


def body(rule: Rule, alerts: list[Alert], event: str) -> dict[str, Any]:
    """The webhook's JSON, see docs/alerts.md. event: firing or resolved."""
    return {
        "version": 1,
        "event": event,
        "site": settings.PUBLIC_URL,
        "rule": {"id": rule.pk, "name": rule.name, "condition": rule.condition, "severity": rule.severity},
        "count": len(alerts),
        "alerts": [entry(alert) for alert in alerts[:MOST_LISTED]],
    }


def entry(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "subject": alert.subject,
        "label": alert.label,
        "message": alert.message,
        "value": alert.value,
        "step": alert.step,
        "started_at": alert.started_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "end_reason": alert.end_reason,
        "url": url_of(alert),
    }


def url_of(alert: Alert) -> str:
    if alert.run is not None:
        return f"{settings.PUBLIC_URL}/runs/{alert.run.code}"
    if alert.node is not None:
        return f"{settings.PUBLIC_URL}/nodes/{alert.node.name}"
    return f"{settings.PUBLIC_URL}/alerts"


def subject_line(told: dict[str, Any]) -> str:
    """The head of a mail: one line, whatever names hold."""
    rule, count = told["rule"], told["count"]
    if told["event"] == "test":
        line = f"ScaleWeb: a test of the channel {told['channel']}"
    else:
        about = told["alerts"][0]["label"] if count == 1 else f"{count} subjects"
        state = "" if told["event"] == "firing" else "resolved: "
        line = f"[{rule['severity']}] {state}{rule['name']}: {about}"
    return " ".join(line.split())[:200]


def words(told: dict[str, Any]) -> str:
    """The text of a mail."""
    if told["event"] == "test":
        return f"This channel of {told['site']} works. Alerts will come this way.\n"
    lines = [
        f"{told['rule']['name']} ({told['rule']['severity']}), {told['event']}"
        + (f", {told['count']} subjects" if told["count"] > 1 else ""),
        "",
    ]
    for alert in told["alerts"]:
        # One that waits since before there was a reason has none.
        ended = f"  over: {reason}" if (reason := alert.get("end_reason")) else ""
        lines += [
            f"{alert['label']}: {alert['message']}",
            f"  since {alert['started_at']}{ended}  {alert['url']}",
        ]
    if told["count"] > len(told["alerts"]):
        lines.append(f"… and {told['count'] - len(told['alerts'])} more: {told['site']}/alerts")
    return "\n".join(lines) + "\n"
