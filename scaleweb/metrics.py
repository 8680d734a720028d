"""`/metrics`: the site's figures in OpenMetrics, for anyone with an account (session or user token).

It holds counts and hardware readings, never the name of a project, an experiment or a run.
Figures from tables are read at most once in CACHE_SECONDS, however many scrapers ask.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q, Sum
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from rest_framework.request import Request
from rest_framework.views import APIView

import monitoring.live.metrics  # noqa: F401  registers its counters
import training.metrics  # noqa: F401  registers its counters
from control.models import ControllerSettings, Decision, Mode, TickLease
from monitoring.models import Device, Node
from training.jobs import ticks
from training.jobs.devices import load_of
from training.models import Attempt, DeviceLease, Job, JobState, Quota, Run
from training.states import LIVE, RunState

CACHE_SECONDS = 5.0
MAX_NODES = 2000
# What a figure may be called; an agent of a later version, or a forged one, may send any key.
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


def gauge(name: str, words: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"scaleweb_{name}", words, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family


def readings(
    owners: list[tuple[list[str], dict[str, Any]]], prefix: str, labels: list[str]
) -> Iterator[Metric]:
    """One gauge a key over all owners; absent sensors are left out, not zero."""
    by_key: dict[str, list[tuple[list[str], float]]] = {}
    for values, latest in owners:
        for key, figure in latest.items():
            if isinstance(figure, int | float) and not isinstance(figure, bool) and NAME.fullmatch(key):
                by_key.setdefault(key, []).append((values, float(figure)))
    for key in sorted(by_key):
        yield gauge(f"{prefix}_{key}", f"Latest {key} as the node's agent read it", labels, by_key[key])


def fleet() -> Iterator[Metric]:
    nodes = list(Node.objects.all()[:MAX_NODES])
    states = [
        ([node.name, state], float(node.state == state)) for node in nodes for state in Node.State.values
    ]
    yield gauge("node_state", "1 for the state a node is in", ["node", "state"], states)
    for name, what in (
        ("cordoned", "1 when the node takes nothing new"),
        ("draining", "1 when what runs on the node is asked to go on elsewhere"),
    ):
        closed = [([node.name], float(getattr(node, name))) for node in nodes]
        yield gauge(f"node_{name}", what, ["node"], closed)
    # A reading of a node that went silent is not the latest of anything.
    alive = {node.pk: node for node in nodes if node.state == Node.State.ONLINE}
    yield from readings([([node.name], node.latest) for node in alive.values()], "node", ["node"])
    gpus = Device.objects.filter(removed=False, kind=Device.Kind.GPU, node__in=alive).order_by(
        "node", "index"
    )
    named = [([alive[gpu.node_id].name, str(gpu.index), gpu.uuid], gpu) for gpu in gpus]
    yield gauge(
        "gpu_healthy", "0 when placement avoids the GPU", ["node", "gpu", "uuid"],
        [(labels, float(gpu.healthy)) for labels, gpu in named],
    )  # fmt: skip
    yield from readings([(labels, gpu.latest) for labels, gpu in named], "gpu", ["node", "gpu", "uuid"])
    total = Device.objects.filter(removed=False).values_list("kind").annotate(Count("pk")).order_by("kind")
    busy = DeviceLease.objects.values_list("device__kind").annotate(Count("pk")).order_by("device__kind")
    yield gauge("devices", "Devices that nodes report", ["kind"], [([kind], n) for kind, n in total])
    yield gauge("devices_busy", "Devices that an attempt holds", ["kind"], [([kind], n) for kind, n in busy])


def queue() -> Iterator[Metric]:
    counts = dict(Job.objects.values_list("state").annotate(Count("pk")).order_by("state"))
    yield gauge(
        "jobs", "Jobs by state", ["state"], [([state], counts.get(state, 0)) for state in JobState.values]
    )
    waiting = Job.objects.filter(state=JobState.QUEUED).values_list("device_kind").order_by("device_kind")
    rows = list(waiting.annotate(Count("pk"), Min("submitted_at")))
    yield gauge("queue_depth", "Jobs that wait for devices", ["kind"], [([kind], n) for kind, n, _ in rows])
    now = timezone.now()
    yield gauge(
        "queue_longest_wait_seconds", "Age of the job that waits longest", ["kind"],
        [([kind], (now - since).total_seconds()) for kind, _, since in rows],
    )  # fmt: skip


def sharing() -> Iterator[Metric]:
    """How long jobs waited, who left for whom, and what is done with what is held."""
    since = timezone.now() - timedelta(hours=1)
    began = Attempt.objects.filter(number=1, created_at__gte=since).values_list(
        "job__device_kind", "job__submitted_at", "created_at"
    )
    waits: dict[str, list[float]] = {}
    for kind, submitted, created in began:
        waits.setdefault(kind, []).append((created - submitted).total_seconds())
    yield gauge(
        "queue_wait_seconds", "From submission to the first attempt, of those begun in the last hour",
        ["kind", "quantile"],
        [
            ([kind, name], sorted(found)[min(len(found) - 1, int(share * len(found)))])
            for kind, found in sorted(waits.items())
            for name, share in (("0.5", 0.5), ("0.99", 0.99))
        ],
    )  # fmt: skip
    left = CounterMetricFamily("scaleweb_preemptions", "Attempts that left for another job")
    left.add_metric(
        [],
        Attempt.objects.filter(
            Q(outcome=Attempt.Outcome.PREEMPTED)
            | Q(outcome=Attempt.Outcome.RESCALED, preempt_asked_at__isnull=False)
        ).count(),
    )
    yield left
    leaving = Attempt.objects.filter(ended_at=None, preempt_asked_at__isnull=False).count()
    yield gauge(
        "preemptions_asked", "Attempts that were asked to leave and have not yet", [], [([], leaving)]
    )
    loads: dict[str, list[float]] = {}
    for kind, latest, host in DeviceLease.objects.values_list(
        "device__kind", "device__latest", "device__node__latest"
    ):
        loads.setdefault(kind, []).append(load_of(kind, latest, host))
    yield gauge(
        "devices_busy_utilisation_ratio", "How much of the devices that attempts hold was measured to be used",
        ["kind"], [([kind], sum(found) / len(found)) for kind, found in sorted(loads.items())],
    )  # fmt: skip
    own = Quota.objects.values_list("kind").annotate(Sum("devices")).order_by("kind")
    yield gauge(
        "devices_quota", "Devices that are some project's own", ["kind"], [([kind], n) for kind, n in own]
    )


def work() -> Iterator[Metric]:
    """The ticks that do the site's work. Of a broker that is away only that is told."""
    now = timezone.now()
    try:
        rows = ticks.ticks()
    except ticks.BrokerAway:
        rows = None
    yield gauge("broker_up", "1 when the broker answers", [], [([], float(rows is not None))])
    if rows is None:
        return
    yield gauge(
        "tick_done_timestamp_seconds", "When the tick was last done", ["task"],
        [([tick.task], tick.at.timestamp()) for tick in rows if tick.at],
    )  # fmt: skip
    yield gauge("tick_late", "1 when it is long overdue", ["task"], [([t.task], t.late(now)) for t in rows])
    yield gauge(
        "tick_last_seconds", "How long the last one took", ["task"],
        [([tick.task], tick.seconds) for tick in rows if tick.seconds is not None],
    )  # fmt: skip
    took = SummaryMetricFamily("scaleweb_tick_seconds", "How long ticks take", labels=["task"])
    failed = CounterMetricFamily("scaleweb_tick_failures", "Ticks that raised", labels=["task"])
    for tick in rows:
        took.add_metric([tick.task], count_value=tick.done, sum_value=tick.all_seconds)
        failed.add_metric([tick.task], tick.failed)
    yield took
    yield failed


def runs() -> Iterator[Metric]:
    counts = dict(Run.objects.values_list("state").annotate(Count("pk")).order_by("state"))
    yield gauge("runs", "Runs by state", ["state"], [([state], counts.get(state, 0)) for state in RunState])
    late = timezone.now() - timedelta(seconds=settings.SILENT_SECONDS)
    silent = Run.objects.filter(state__in=LIVE, last_seen_at__lt=late).count()
    yield gauge("runs_silent", "Live runs not heard of lately", [], [([], silent)])


def controller() -> Iterator[Metric]:
    modes = dict(ControllerSettings.objects.values_list("mode").annotate(Count("pk")).order_by("mode"))
    yield gauge(
        "controllers", "Experiments by the mode of their controller; those never set up are not counted",
        ["mode"], [([mode], modes.get(mode, 0)) for mode in Mode.values],
    )  # fmt: skip
    failing = ControllerSettings.objects.exclude(problems={}).exclude(mode=Mode.OFF).count()
    yield gauge(
        "controllers_failing", "Experiments with a policy that failed in its last tick", [], [([], failing)]
    )
    late = TickLease.objects.exclude(holder="").filter(until__lt=timezone.now()).count()
    yield gauge("controller_tick_stuck", "1 when a tick has held its lease for too long", [], [([], late)])
    labels = ["policy", "state", "verdict"]
    rows = Decision.objects.values_list(*labels).annotate(Count("pk")).order_by(*labels)
    yield gauge(
        "decisions", "Decisions of the controller", labels,
        [([policy, state, verdict], n) for policy, state, verdict, n in rows],
    )  # fmt: skip


def store() -> Iterator[Metric]:
    from monitoring.storage import series

    for name, figure in sorted(series.stats().items()):
        if isinstance(figure, int | float) and not isinstance(figure, bool):
            yield gauge(f"store_{name}", f"Series store: {name}", [], [([], figure)])


class TableCollector(Collector):
    """Figures from the database, read at most once in CACHE_SECONDS."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.read_at = float("-inf")
        self.found: list[Metric] = []

    def collect(self) -> list[Metric]:
        with self.lock:
            if time.monotonic() - self.read_at > CACHE_SECONDS:
                self.found = [
                    metric
                    for part in (fleet, queue, sharing, work, runs, controller, store)
                    for metric in part()
                ]
                self.read_at = time.monotonic()
            return self.found

    def describe(self) -> list[Metric]:
        return []  # registration would read the tables otherwise


class ProcessCollector(Collector):
    """Counters of this web process: the link, the live websockets, the writer, Python itself."""

    def collect(self) -> Iterable[Metric]:
        return REGISTRY.collect()

    def describe(self) -> list[Metric]:
        return []


tables = TableCollector()
registry = CollectorRegistry()
registry.register(tables)
registry.register(ProcessCollector())


class Metrics(APIView):
    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
