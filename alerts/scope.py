"""What a rule looks at: which runs, nodes and jobs are its own."""

from datetime import datetime

from django.db.models import Q, QuerySet

from monitoring.models import Node
from training.models import Job, Run
from training.states import LIVE

from .models import Rule

# More than so many runs are not looked at by one rule: the newest are.
MOST_RUNS = 2000


def runs(rule: Rule, since: datetime) -> QuerySet[Run]:
    """The rule's runs: those alive, and those that ended after `since`. Newest first."""
    wanted = Q(state__in=LIVE) | Q(ended_at__gte=since)
    return within(Run.objects.filter(wanted), rule, "experiment").order_by("-id")[:MOST_RUNS]


def jobs(rule: Rule) -> QuerySet[Job]:
    return within(Job.objects.all(), rule, "run__experiment")


def within(rows: QuerySet, rule: Rule, path: str) -> QuerySet:
    """Those of the rule's experiment or project. `path`: the lookup from a row to its experiment."""
    if rule.experiment_id is not None:
        return rows.filter(**{path: rule.experiment_id})
    if rule.project_id is not None:
        return rows.filter(**{f"{path}__project": rule.project_id})
    return rows


def nodes(rule: Rule) -> QuerySet[Node]:
    """All nodes: they belong to no project. A rule of a project looks at none; see api.rules."""
    return Node.objects.all() if rule.project_id is None else Node.objects.none()
