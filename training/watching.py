"""Who may watch what over the live websocket."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q

from .models import Experiment, Membership, Run


def may_watch(user: Any, topics: list[str]) -> set[str] | None:
    """The topics the user may watch; None when there is no such active user any more.

    run and experiment need a role in the project; queue, fleet, node, alerts and notices need a login:
    they name nobody's runs.
    """
    fresh = get_user_model().objects.filter(pk=user.pk, is_active=True).first()
    if fresh is None:
        return None
    allowed = {
        topic
        for topic in topics
        if topic in {"queue", "fleet", "alerts", "notices"} or topic.startswith("node:")
    }
    codes = {topic.removeprefix("run:") for topic in topics if topic.startswith("run:")}
    numbers = {topic.removeprefix("experiment:") for topic in topics if topic.startswith("experiment:")}
    if codes:
        found = Run.objects.filter(in_project(fresh, "experiment__project"), code__in=codes)
        allowed |= {f"run:{code}" for code in found.values_list("code", flat=True)}
    if numbers:
        known = [
            int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19
        ]
        found_ids = Experiment.objects.filter(in_project(fresh, "project"), pk__in=known)
        allowed |= {f"experiment:{pk}" for pk in found_ids.values_list("pk", flat=True)}
    return allowed


def in_project(user: Any, path: str) -> Q:
    if user.is_superuser:
        return Q()
    return Q(**{f"{path}__in": Membership.objects.filter(user=user).values("project")})
