"""What runs on a node that is drained goes on elsewhere: asked at a checkpoint, as who gives way to another job is."""

import logging

from django.db import transaction
from django.db.models import Q, QuerySet

from monitoring.models import Node
from training.models import Attempt

from . import yielding

logger = logging.getLogger(__name__)


def ask() -> int:
    """Ask who may be asked and has not been yet, wherever a node drains. Returns how many attempts were asked."""
    nodes = dict(Node.objects.filter(draining=True).values_list("pk", "name"))
    if not nodes:
        return 0
    return sum(leave(pk, nodes) for pk in yielding.askable().filter(here(nodes)).values_list("pk", flat=True))


def here(nodes: dict[int, str]) -> Q:
    """Attempts with a part on one of them. A gang leaves whole: what is left of it would wait for the others."""
    return Q(node__in=nodes) | Q(pk__in=Attempt.objects.filter(members__node__in=nodes))


def leave(pk: int, nodes: dict[int, str]) -> bool:
    with transaction.atomic():
        attempt = (
            Attempt.objects.select_for_update(of=("self",))
            .select_related("job__run__experiment__project")
            .filter(pk=pk, state=Attempt.State.RUNNING, ended_at=None, preempt_asked_at=None)
            .first()
        )
        if attempt is None:
            return False
        on = {attempt.node_id, *attempt.members.values_list("node_id", flat=True)}
        reason = f"its node {', '.join(name for node, name in nodes.items() if node in on)} is drained"
        yielding.ask_to_leave(attempt, reason)
    logger.info("%s is asked to leave: %s", attempt, reason)
    return True


def left_on(node: Node) -> tuple[int, int]:
    """(how many attempts leave a node that drains, how many stay to their end)."""
    live: QuerySet[Attempt] = Attempt.objects.filter(here({node.pk: node.name}), ended_at=None)
    may = yielding.askable().values_list("pk", flat=True)
    leaving = live.filter(Q(preempt_asked_at__isnull=False) | Q(state=Attempt.State.STOPPING) | Q(pk__in=may))
    return leaving.count(), live.exclude(pk__in=leaving.values_list("pk", flat=True)).count()
