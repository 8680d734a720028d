"""The resources policy in the site: rows in, proposals to rescale out.

    jobs, attempts, step times, nodes' readings -> control.resources.allocate -> decisions of the policy "resources"

What becomes of an answer is the mode's: recorded, proposed, or, in mode act where the policy's `may_rescale` is set,
sent as the command `rescale` by the same path as a person's. Once the job has trained on its new devices it is judged
by its pace, and goes back where it was worse (`control.rescale_verdict`).
"""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from monitoring.models import Device, Node
from monitoring.plain import plain
from training.models import Attempt, Job, JobState, Run
from training.models.command import VOID
from training.states import RunState

from . import actions, measuring, power_limits, rescale_verdict
from .decide import COMMON
from .describe import announce
from .guards import Limits, Rule
from .models import ControllerSettings, Decision, DecisionState, Mode, Verdict
from .policies.resources import Resources
from .proposals import ACTED_STATES, SHADOW
from .resources.allocate import SLOW_FROM, allocate
from .resources.cluster import Answer, Held, sizes
from .resources.cluster import Job as Claim
from .resources.cluster import Node as Place
from .resources.estimate import Profile, goodputs
from .resources.goodput import Goodput
from .resources.health import number, slow_gpus, slow_host
from .resources.throughput import Measured

logger = logging.getLogger(__name__)
POLICY = "resources"
VERB, TUNABLE = "rescale", "devices"
# The same advice is not given again within this time.
AGAIN_AFTER = timedelta(minutes=30)
# Nor is a job moved again after a move that did not help: what slowed its node may be its own doing, and go with it.
MOVED_IN_VAIN = timedelta(days=1)
RESTART_SECONDS = 60.0
MAX_JOBS = 500
LIVE = (DecisionState.PROPOSED, DecisionState.SENT, DecisionState.APPLIED)


@dataclass
class Known:
    """A job with what was measured of it. batch: effective, in samples, 0 where it was never told."""

    job: Job
    attempt: Attempt | None
    profile: Profile
    batch: float


def tick(now: datetime | None = None) -> int:
    """Say for each watched running job whether it should have other devices. Returns how many decisions were made."""
    now = now or timezone.now()
    watched = {each.experiment_id: each for each in ControllerSettings.objects.exclude(mode=Mode.OFF)}
    if not watched:
        return 0
    judge_all(now, watched)
    power_limits.tick(watched, parameters, now)
    places, kinds = cluster()
    known = [
        known_of(job)
        for job in active_jobs()
        .filter(state__in=[JobState.ACTIVE, JobState.QUEUED])
        .order_by("id")[:MAX_JOBS]
    ]
    claims = {one.job.pk: claim_of(one, watched, places, kinds, now) for one in known}
    answers = allocate(list(claims.values()), places).answers
    names = dict(Node.objects.values_list("pk", "name"))
    made = 0
    for one in known:
        answer = answers[one.job.pk]
        if may_be_told(one, answer, claims[one.job.pk], now):
            settings = watched[one.job.run.experiment_id]
            made += write(one, answer, settings, names, kinds, now)
    return made


def judge_all(now: datetime, watched: Mapping[int, ControllerSettings]) -> None:
    """Judge the changes that are in force, whoever approved them."""
    open_ones = Decision.objects.filter(policy=POLICY, state=DecisionState.APPLIED, verb=VERB)
    for decision in open_ones.select_related("run__job", "run__experiment"):
        settings = watched.get(decision.run.experiment_id)
        try:
            rescale_verdict.judge(decision, settings, float(parameters(settings)["judge_after_seconds"]), now)
        except Exception:
            # One job's records must not keep all others from being judged.
            logger.exception("decision %s cannot be judged", decision.pk)


def parameters(settings: ControllerSettings | None) -> dict[str, Any]:
    return {**COMMON, **Resources.defaults, **({} if settings is None else settings.policies.get(POLICY, {}))}


def active_jobs():
    return Job.objects.select_related("run__experiment").prefetch_related(
        "attempts__devices__node", "attempts__node", "run__tunables"
    )


def cluster() -> tuple[list[Place], dict[str, str]]:
    """(nodes with what can be given out of them, {name of a kind of device: gpu or cpu})."""
    devices = Device.objects.filter(
        removed=False, healthy=True, node__state=Node.State.ONLINE, node__cordoned=False
    ).select_related("node")
    grouped: dict[tuple[int, str], list[Device]] = defaultdict(list)
    clocks: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for device in devices:
        kind = kind_of(device)
        kinds[kind] = device.kind
        grouped[device.node_id, kind].append(device)
        clocks[kind] = max(clocks.get(kind, 0.0), number(device.latest.get("sm_clock_hertz")) or 0.0)
    places = []
    for (node, kind), found in sorted(grouped.items()):
        host = found[0].node
        cores = number(host.system.get("cpu_count")) or 0.0
        slow = (
            slow_gpus([d.latest for d in found], clocks[kind])
            if kinds[kind] == Device.Kind.GPU
            else slow_host(host.latest, cores)
        )
        places.append(Place(node, kind, len(found), slow))
    return places, kinds


def kind_of(device: Device) -> str:
    return device.name or device.kind


def known_of(job: Job) -> Known:
    """What the job's attempts were measured at: the median step of each, with the batch that it worked on."""
    measured: dict[str, list[Measured]] = defaultdict(list)
    live: Attempt | None = None
    batch = 0.0
    for attempt in sorted(job.attempts.all(), key=lambda attempt: attempt.number):
        devices = list(attempt.devices.all())
        if attempt.ended_at is None and attempt.state == Attempt.State.RUNNING:
            live = attempt
        if not devices or attempt.started_at is None:
            continue
        found = measuring.stretch(job.run.source, attempt)
        if found is None:
            continue
        seconds, batch = found
        if batch >= len(devices):
            nodes = len({device.node_id for device in devices})
            measured[kind_of(devices[0])].append(Measured(len(devices), batch / len(devices), seconds, nodes))
    noise = number(job.run.summary.get("_grad_noise_scale"))
    usable = noise is not None and math.isfinite(noise) and noise > 0
    profile = Profile(dict(measured), base_batch=max(batch, 1.0), noise_scale=noise if usable else None)
    return Known(job, live, profile, batch)


def claim_of(
    one: Known,
    watched: Mapping[int, ControllerSettings],
    places: Iterable[Place],
    kinds: Mapping[str, str],
    now: datetime,
) -> Claim:
    job, attempt = one.job, one.attempt
    held = None
    if attempt is not None:
        devices = list(attempt.devices.all())
        counted = Counter(device.node_id for device in devices)
        held = Held(kind_of(devices[0]), tuple(sorted(counted.items()))) if devices else None
    slow = {(place.node, place.kind): place.slow for place in places}
    mine = [] if held is None else [(node, held.kind) for node, _ in held.nodes]
    running = held is not None and job.run.state == RunState.RUNNING and all(place in slow for place in mine)
    # Whoever is not watched, was not measured yet, or is on a node that is cordoned, keeps what it has; so does one of
    # a fixed number of devices, but where its node is slowed: it may be moved.
    fixed = held is not None and not (
        running
        and job.run.experiment_id in watched
        and parameters(watched[job.run.experiment_id])["enabled"]
        and (job.max_devices > job.min_devices or max(slow[place] for place in mine) >= SLOW_FROM)
        and one.profile.known
    )
    fitting = {place.kind: 0 for place in places if kinds[place.kind] == job.device_kind}
    for place in places:
        if place.kind in fitting:
            fitting[place.kind] = max(fitting[place.kind], place.devices)
    tables = {}
    if not fixed and (held is not None or job.state == JobState.QUEUED):
        models = goodputs(one.profile, dict.fromkeys(fitting, 1.0))
        tables = {
            kind: models[kind].table(sizes(job.min_devices, job.max_devices, most))
            for kind, most in fitting.items()
        }
    left, done = work_left(one)
    since = job.submitted_at if attempt is None else attempt.created_at
    return Claim(
        job.pk, tables, held, left, done, (now - since).total_seconds() if held is None else 0.0,
        RESTART_SECONDS, 2.0 ** max(-5, min(5, job.priority)), fixed=fixed,
    )  # fmt: skip


def work_left(one: Known) -> tuple[float | None, float]:
    """(samples left, samples done); None where the run declares no number of steps."""
    step = one.job.run.last_step or 0
    total = next((t.value for t in one.job.run.tunables.all() if t.role == "total_steps"), None)
    steps = number(total)
    left = None if steps is None else max(0.0, steps - step) * max(one.batch, 1.0)
    return left, step * max(one.batch, 1.0)


def may_be_told(one: Known, answer: Answer, claim: Claim, now: datetime) -> bool:
    """Whether this answer is news: of a running job that may change, not said or asked already."""
    if claim.fixed or claim.held is None or not answer.changed or not answer.devices:
        return False
    earlier = Decision.objects.filter(run=one.job.run, policy=POLICY)
    if earlier.filter(state__in=LIVE).exists():
        return False
    vain = earlier.filter(verdict__in=[Verdict.SAME, Verdict.WORSE], judged_at__gt=now - MOVED_IN_VAIN)
    if leaves_its_nodes(one, answer) and any(rescale_verdict.was_a_move(decision) for decision in vain):
        return False
    newest = earlier.order_by("-id").first()
    return (
        newest is None
        or now - newest.created_at >= AGAIN_AFTER
        or (newest.new_value or {}).get("devices") != answer.devices
    )


def leaves_its_nodes(one: Known, answer: Answer) -> bool:
    assert one.attempt is not None
    return not {node for node, _ in answer.nodes} & {device.node_id for device in one.attempt.devices.all()}


def write(
    one: Known, answer: Answer, settings: ControllerSettings, names: Mapping[int, str], kinds: Mapping[str, str],
    now: datetime,
) -> bool:  # fmt: skip
    """Store the decision, and send it where it may be sent; False where another tick was faster."""
    assert one.attempt is not None
    run = one.job.run
    (node, _), *_ = answer.nodes
    devices = list(one.attempt.devices.all())
    old = {"devices": len(devices), "kind": kind_of(devices[0]), "node": one.attempt.node.name}
    new = {"devices": answer.devices, "kind": answer.kind, "node": names[node]}
    # Where it goes is placement's to say; that it leaves its nodes is not.
    value = {"devices": answer.devices, "elsewhere": leaves_its_nodes(one, answer)}
    chosen = parameters(settings)
    mode, blocked = settings.mode, ""
    state = DecisionState.PROPOSED
    if chosen["shadow"] or mode == Mode.OBSERVE:
        state = DecisionState.RECORDED
    elif mode == Mode.ACT and chosen["may_rescale"]:
        blocked = stands_against(run, settings, now)
        state = DecisionState.BLOCKED if blocked else DecisionState.SENT
    step = run.last_step or 0
    decision = Decision(
        run=run, policy=POLICY, mode=SHADOW if chosen["shadow"] else mode, verb=VERB, tunable=TUNABLE,
        old_value=old, new_value=new, state=state, blocked_by=blocked[:500],
        changes=[{"verb": VERB, "tunable": "", "value": value, "old_value": old}],
        reason=answer.why, evidence=plain(evidence(one, answer)), expected=expected(one, answer, kinds),
        decided_step=step, judge_at_step=step, created_at=now,
    )  # fmt: skip
    since = rescale_verdict.last_seq(run)
    try:
        with transaction.atomic():
            decision.save(force_insert=True)
    except IntegrityError:
        logger.info("another tick proposed devices for run %s first", run.code)
        return False
    announce(decision)
    if state == DecisionState.SENT:
        actions.act(decision, since)
    return True


def stands_against(run: Run, settings: ControllerSettings, now: datetime) -> str:
    """The guard that keeps a change of devices from being made by itself now, "" for none."""
    limits = Limits.of(settings.guards)
    made = Decision.objects.filter(run=run, state__in=ACTED_STATES).count()
    if made >= limits.max_changes:
        return f"{Rule.BUDGET}: the run's budget of {limits.max_changes} changes is spent"
    hand = run.commands.filter(
        by_person=True, created_at__gt=now - timedelta(seconds=limits.hands_off_seconds)
    ).exclude(state__in=VOID)
    newest = hand.order_by("-seq").first()
    if newest is not None:
        return f"{Rule.PERSON}: {newest.asked_by} asked for {newest.verb} less than {limits.hands_off_seconds:g} s ago"
    if not any(offer.get("verb") == VERB for offer in run.offers):
        return f"{Rule.VERB}: the run does not offer {VERB}: its script saves no checkpoints"
    return ""


def evidence(one: Known, answer: Answer) -> dict[str, Any]:
    assert one.attempt is not None
    return {
        **answer.figures, "measured": evidence_of(one), "noise_scale": one.profile.noise_scale,
        "attempt": one.attempt.number,
    }  # fmt: skip


def expected(one: Known, answer: Answer, kinds: Mapping[str, str]) -> dict[str, Any]:
    """The speed-up less one, with what the fit leaves open about synchronisation (90 %)."""
    before = answer.figures["goodput_before"]
    after = answer.figures["goodput_after"]
    if not before:
        return {}
    model = goodputs(one.profile, dict.fromkeys(kinds, 1.0))[answer.kind]
    middle = model.table([answer.devices])[answer.devices]
    low, high = (model_at(model, z).table([answer.devices])[answer.devices] / middle for z in (1.645, -1.645))
    ratio = after / before
    return {
        "metric": "_samples_per_second", "effect": ratio - 1, "low": ratio * low - 1, "high": ratio * high - 1,
        "unit": "ratio",
    }  # fmt: skip


def model_at(model: Goodput, deviations: float) -> Goodput:
    """The model with its synchronisation times moved by so many standard deviations."""
    theta = list(model.throughput.theta)
    for place in range(2, 6):
        theta[place] += deviations * model.throughput.spread[place]
    moved = type(model.throughput)(tuple(theta), model.throughput.spread, model.throughput.measured_devices)
    return type(model)(
        moved,
        model.base_batch,
        model.noise_scale,
        model.largest_batch,
        model.largest_micro_batch,
        model.adapts,
    )


def told(job: Job) -> dict[str, Any]:
    """The fitted model of a job as REST shows it."""
    one = known_of(job)
    places, kinds = cluster()
    mine = {place.kind: 0 for place in places if kinds[place.kind] == job.device_kind}
    for place in places:
        if place.kind in mine:
            mine[place.kind] = max(mine[place.kind], place.devices)
    measured = evidence_of(one)
    if not one.profile.known:
        return {
            "job": job.code, "measured": [], "noise_scale": one.profile.noise_scale, "models": {}, "table": [],
            "note": "no attempt has logged _step_seconds and _samples_per_second for long enough yet",
        }  # fmt: skip
    models = goodputs(one.profile, dict.fromkeys([*mine, *one.profile.measured], 1.0))
    table = []
    for kind, model in sorted(models.items()):
        most = max([mine.get(kind, 0), *(m.devices for m in one.profile.measured.get(kind, ()))])
        points = model.points(sorted({1, *sizes(1, min(most, max(job.max_devices, 1)), most)}))
        table += [
            {"kind": kind, "devices": p.devices, "goodput": p.goodput, "samples_per_second": p.throughput,
             "efficiency": p.efficiency, "batch": p.batch, "speedup": p.goodput / points[0].goodput}
            for p in points
            if points[0].goodput > 0
        ]  # fmt: skip
    return {
        "job": job.code, "measured": measured, "noise_scale": one.profile.noise_scale,
        "models": {kind: model.throughput.as_json() for kind, model in models.items()}, "table": table, "note": "",
    }  # fmt: skip


def evidence_of(one: Known) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "devices": m.devices, "step_seconds": m.step_seconds, "micro_batch": m.micro_batch}
        for kind, found in one.profile.measured.items()
        for m in found
    ]
