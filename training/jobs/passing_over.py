"""Nodes that get nothing for a while, because of what became of what they got.

a node     whose worker is heard of and did not start the last two attempts that it was sent: it hangs. For ten minutes,
           or until it starts something or is started itself; one more lost attempt after that is enough again.
a node     that says of itself what cannot be true: for as long as it does, and a minute.
for a job  a node on which it was lost twice within half an hour after it had started there, while there are others.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Now

from monitoring.live.publish import publish_change
from monitoring.models import Device, Node
from training.models import Attempt, JobState, Member

NOT_STARTED = 2
FOR_ALL = timedelta(minutes=10)
LOST_THERE = 2
FOR_ONE = timedelta(minutes=30)
FOR_A_LIE = timedelta(minutes=1)
REASON = f"its worker is heard of, and did not start the last {NOT_STARTED} jobs that it was sent"


def not_started(node: int) -> None:
    """Called when the lease of an attempt ran out, or of a gang's part, that this node's worker never started."""
    last = last_ended(node)[:NOT_STARTED]
    if len(last) < NOT_STARTED or any(
        started or outcome != Attempt.Outcome.LOST for started, outcome in last
    ):
        return
    # One that is not heard of either is silent, and gets nothing for that.
    here = Node.objects.filter(pk=node, state=Node.State.ONLINE)
    if here.update(passed_over_until=Now() + FOR_ALL, passed_over_reason=REASON):
        announce(node)


def not_believed(name: str, why: str) -> None:
    """Called with each description of a node that is refused. why: what of it cannot be true."""
    end = Now() + FOR_A_LIE
    here = Node.objects.filter(Q(passed_over_until=None) | Q(passed_over_until__lt=end), name=name)
    was = here.values_list("pk", "passed_over_until").first()
    if was is None:
        return
    reason = f"what it says of itself cannot be true: {why}"[:500]
    here.update(passed_over_until=end, passed_over_reason=reason)
    if was[1] is None:
        announce(was[0])


def last_ended(node: int) -> list[tuple[bool, str]]:
    """(whether the node's worker started it, outcome) of what the node got last, whole attempts and parts, the newest
    first."""
    whole = Attempt.objects.filter(node=node, ended_at__isnull=False).order_by("-id")
    found = [
        (pk, started is not None, outcome)
        for pk, started, outcome in whole.values_list("pk", "started_at", "outcome")[:NOT_STARTED]
    ]
    parts = Member.objects.filter(node=node, attempt__ended_at__isnull=False).order_by("-attempt_id")
    found += [
        (pk, state != Attempt.State.ASSIGNED, outcome)
        for pk, state, outcome in parts.values_list("attempt_id", "state", "attempt__outcome")[:NOT_STARTED]
    ]
    return [(started, outcome) for _, started, outcome in sorted(found, reverse=True)]


def forget(node: int) -> None:
    """Its worker has started something, or was started itself."""
    if (
        Node.objects.filter(pk=node)
        .exclude(passed_over_until=None)
        .update(passed_over_until=None, passed_over_reason="")
    ):
        announce(node)


def forget_past() -> None:
    for pk in Node.objects.filter(passed_over_until__lte=Now()).values_list("pk", flat=True):
        forget(pk)


def announce(node: int) -> None:
    name, until = Node.objects.values_list("name", "passed_over_until").get(pk=node)
    for topic in (f"node:{name}", "fleet"):
        publish_change(topic, "node", {"name": name, "passed_over": until is not None})


def told_of_nodes() -> list[tuple[str, set[int], str]]:
    """(kind of device, nodes, words) of what is passed over for all."""
    nodes = list(Node.objects.exclude(passed_over_until=None).filter(cordoned=False).order_by("name"))
    found = []
    for kind in Device.Kind.values if nodes else ():
        having = set(
            Device.objects.filter(node__in=nodes, kind=kind, removed=False).values_list("node_id", flat=True)
        )
        words = "; ".join(
            f"{node.name} is passed over until {clock(node.passed_over_until)}: {node.passed_over_reason}"
            for node in nodes
            if node.pk in having and node.passed_over_until is not None
        )
        if having:
            found.append((kind, having, words))
    return found


@dataclass(frozen=True)
class Elsewhere:
    """The nodes on which a job was lost too often, and how that is said."""

    nodes: frozenset[int]
    words: str

    def others(self, nodes: frozenset[int] | None, usable: Collection[int]) -> frozenset[int] | None:
        """Those of its nodes that it goes to instead; None where there are none, and it takes what there is."""
        open_ones = set(usable) if nodes is None else nodes & set(usable)
        left = open_ones - self.nodes
        return (frozenset(usable) if nodes is None else nodes) - self.nodes if left else None


def lost_there(now: datetime) -> Mapping[int, Elsewhere]:
    """By waiting job."""
    # Of an attempt over several nodes nobody knows on which of them it was lost.
    rows = Attempt.objects.filter(
        job__state=JobState.QUEUED, outcome=Attempt.Outcome.LOST, started_at__isnull=False, members=None,
        ended_at__gt=now - FOR_ONE,
    ).order_by("ended_at")  # fmt: skip
    counts: Counter[tuple[int, int]] = Counter()
    names: dict[int, str] = {}
    last: dict[tuple[int, int], datetime] = {}
    for job, node, name, ended in rows.values_list("job_id", "node_id", "node__name", "ended_at"):
        counts[job, node] += 1
        names[node], last[job, node] = name, ended or now
    found: dict[int, dict[int, str]] = {}
    for (job, node), count in counts.items():
        if count >= LOST_THERE:
            until = clock(last[job, node] + FOR_ONE)
            found.setdefault(job, {})[node] = (
                f"{names[node]}, where it was lost {count} times (until {until})"
            )
    return {
        job: Elsewhere(frozenset(nodes), " other than " + " and ".join(nodes.values()))
        for job, nodes in found.items()
    }


def clock(at: datetime | None) -> str:
    return "" if at is None else f"{at:%H:%M} UTC"
