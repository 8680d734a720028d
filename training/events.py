"""What a process reports beside its points: each kind of event has one idempotent handler.

An event that cannot be used (a tunable that contradicts itself, a path too long) is written down as an
error of the run, with what would do; the rest of its batch is stored. A batch may be applied twice when the
server dies between its events and its points: events that only add a line to the history are told apart by
session, batch and place.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import DataError, transaction
from django.utils import timezone

from monitoring.live.publish import publish_change
from monitoring.plain import NotPlain, plain, text
from scaleweb_sdk.protocol import MAX_STEP, ActionSpec, Event, EventKind, TunableSpec, VerbSpec

from . import commands, metrics, offers, states
from .jobs import corrections
from .models import Checkpoint, Job, JobState, Run, RunEvent, Tunable
from .states import ENDED, LIVE, RunState
from .values import BadValue, check_spec

logger = logging.getLogger(__name__)
MAX_CONFIG_BYTES = 2**20
MAX_TUNABLES = 500
MAX_KEPT = 1000
MAX_ACTIONS = 200
OUTCOMES = {"measured", "switched", "exported", "refused"}
MAX_ABOUT_BYTES = 4096


class BadEvent(ValueError):
    """The event cannot be used; the message says what was wrong and what would do."""


UNUSABLE = (BadEvent, BadValue, NotPlain, msgspec.ValidationError, states.IllegalMove, DataError)


@dataclass(frozen=True)
class Sender:
    """Who reports: one process incarnation of a run."""

    session: str
    role: str = "process"
    rank: int = 0
    attempt: int = 0  # 0: it belongs to no job


@dataclass(frozen=True)
class Report:
    """One event and where it came from."""

    run: Run
    sender: Sender
    event: Event
    seq: int
    index: int

    @property
    def step(self) -> int | None:
        return self.event.step


class Setting(msgspec.Struct):
    """A tunable's value, and the step from which it was in force."""

    value: Any
    since: int


class CheckpointData(msgspec.Struct):
    path: str
    size_bytes: int = 0
    sha256: str = ""
    metrics: dict[str, Any] = {}
    reason: str = ""
    branch: int = 0
    pinned: bool = False
    # {path: rules} of every file that its keep rule holds now.
    kept: dict[str, list[str]] = {}
    settings: dict[str, Setting] = {}


class BranchData(msgspec.Struct):
    index: int
    from_step: int
    reason: str = ""


class StateData(msgspec.Struct):
    state: str
    reason: str = ""


class OutcomeData(msgspec.Struct):
    seq: int
    ok: bool
    message: str = ""
    old_value: Any = None
    new_value: Any = None


class AlgorithmData(msgspec.Struct):
    verb: str
    outcome: str
    reason: str = ""
    table: dict[str, Any] | None = None
    export: dict[str, Any] | None = None


def apply(run_pk: int, sender: Sender, seq: int, events: list[Event]) -> Run:
    """Apply a batch's events in order, in one transaction. Raises Run.DoesNotExist."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run_pk)
        known = set(
            RunEvent.objects.filter(run=run, data__session=sender.session, data__seq=seq).values_list(
                "data__index", flat=True
            )
        )
        for index, event in enumerate(events):
            if index in known:
                continue
            report = Report(run, sender, event, seq, index)
            try:
                with transaction.atomic():
                    handle(report)
            except UNUSABLE as error:
                metrics.BAD_EVENTS.labels(event.kind if event.kind in HANDLERS else "unknown").inc()
                # The rolled-back handler may have left its changes on the object.
                run.refresh_from_db()
                record(report, "error", reason=f"{text(event.kind, 40)} event not used: {error}"[:2000])
    return run


def handle(report: Report) -> None:
    check_event(report.event)
    handler = HANDLERS.get(report.event.kind)
    if handler is None:
        # A newer SDK may know kinds that this server does not: its points are as good as ever.
        raise BadEvent(f"kind {report.event.kind!r:.60} is unknown to this server")
    handler(report)


def check_event(event: Event) -> None:
    if event.step is not None and not 0 <= event.step <= MAX_STEP:
        raise BadEvent(f"step={event.step} is outside 0..2^53")


def record(report: Report, kind: str, **fields: Any) -> None:
    """Add a line to the run's history, marked with where it came from."""
    data = fields.pop("data", {})
    mark = {"session": report.sender.session, "seq": report.seq, "index": report.index}
    step = report.step if report.step is not None and 0 <= report.step <= MAX_STEP else None
    fields["reason"] = text(fields.get("reason", ""), 10_000)
    event = RunEvent.objects.create(
        run=report.run,
        kind=kind,
        step=step,
        actor=f"{report.sender.role} {report.sender.rank}",
        data=data | {"time": plain(report.event.time)} | mark,
        **fields,
    )
    publish_change(
        f"run:{report.run.code}",
        "event",
        {"id": event.pk, "kind": kind, "step": step, "reason": event.reason, "at": event.at.isoformat()},
    )


def on_config(report: Report) -> None:
    config = report.event.data.get("config")
    if not isinstance(config, dict):
        raise BadEvent('config is missing; expected {"config": {…}}')
    merged = report.run.config | plain(config, "config")
    size = len(msgspec.json.encode(merged))
    if size > MAX_CONFIG_BYTES:
        raise BadEvent(f"the config would be {size} bytes; at most {MAX_CONFIG_BYTES} are kept")
    if merged != report.run.config:
        report.run.config = merged
        report.run.save(update_fields=["config"])
        publish_change(f"run:{report.run.code}", "run", {"code": report.run.code, "config": merged})


def on_tunable(report: Report) -> None:
    data = plain(report.event.data, "tunable")
    spec = msgspec.convert(data, TunableSpec)
    check_name(spec.name)
    value = check_spec(spec, spec.value)
    size = len(msgspec.json.encode(spec.about))
    if size > MAX_ABOUT_BYTES:
        raise BadEvent(f"what is told about {spec.name} has {size} bytes; at most {MAX_ABOUT_BYTES} are kept")
    fields = {
        "kind": spec.kind, "value": value, "low": spec.low, "high": spec.high, "scale": spec.scale,
        "choices": spec.choices, "role": text(spec.role, 40), "description": text(spec.description, 500),
        "about": spec.about,
    }  # fmt: skip
    tunable = report.run.tunables.filter(name=spec.name).first()
    if tunable is None:
        if report.run.tunables.count() >= MAX_TUNABLES:
            raise BadEvent(f"the run declares {MAX_TUNABLES} tunables already")
        Tunable.objects.create(run=report.run, name=spec.name, initial=value, **fields)
    else:
        if type(tunable.value) is not type(value) or tunable.value != value:
            fields |= {
                "changed_at": timezone.now(),
                "changed_step": report.step,
                "changed_by": text(str(data.get("changed_by") or "the script"), 200),
            }
        Tunable.objects.filter(pk=tunable.pk).update(**fields)
    publish_change(f"run:{report.run.code}", "tunable", {"name": spec.name, "value": value})


def check_name(name: str) -> None:
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise BadEvent(f"name {name!r:.60} has {len(name)} characters; expected 1 to 200 printable ones")


def on_action(report: Report) -> None:
    spec = msgspec.convert(plain(report.event.data, "action"), ActionSpec)
    check_name(spec.name)
    offers.check_parameters(spec.name, spec.parameters)
    entry = {"name": spec.name, "description": spec.description[:500]}
    if spec.parameters:
        entry["parameters"] = msgspec.to_builtins(spec.parameters)
    others = [action for action in report.run.actions if action.get("name") != spec.name]
    if len(others) >= MAX_ACTIONS:
        raise BadEvent(f"the run declares {MAX_ACTIONS} actions already")
    if entry not in report.run.actions:
        report.run.actions = [*others, entry]
        report.run.save(update_fields=["actions"])
        publish_change(
            f"run:{report.run.code}", "run", {"code": report.run.code, "actions": report.run.actions}
        )


def on_verb(report: Report) -> None:
    spec = msgspec.convert(plain(report.event.data, "verb"), VerbSpec)
    offers.check_spec_of(spec)
    if report.sender.rank != 0:
        return
    entry = msgspec.to_builtins(spec)
    if entry not in report.run.offers:
        others = [offer for offer in report.run.offers if offer.get("verb") != spec.verb]
        report.run.offers = [*others, entry]
        report.run.save(update_fields=["offers"])
        publish_change(
            f"run:{report.run.code}", "run", {"code": report.run.code, "offers": report.run.offers}
        )


def on_command(report: Report) -> None:
    outcome = msgspec.convert(plain(report.event.data, "command"), OutcomeData)
    if not 0 < outcome.seq < 2**63:
        raise BadEvent(f"seq={outcome.seq} is no command's number")
    found = commands.record_outcome(
        report.run, report.sender.rank, report.step, msgspec.structs.asdict(outcome)
    )
    if found is None:
        raise BadEvent(f"the run has no command #{outcome.seq}")


def on_checkpoint(report: Report) -> None:
    saved = msgspec.convert(plain(report.event.data, "checkpoint"), CheckpointData)
    if not 1 <= len(saved.path) <= 1000:
        raise BadEvent(f"the path has {len(saved.path)} characters; expected 1 to 1000")
    if report.step is None:
        raise BadEvent("the event has no step; a checkpoint is of a step")
    if not 0 <= saved.size_bytes < 2**63 or not 0 <= saved.branch < 2**31:
        raise BadEvent(f"size_bytes={saved.size_bytes} branch={saved.branch}; expected 0 or more")
    checkpoint, _ = Checkpoint.objects.update_or_create(
        run=report.run,
        path=saved.path,
        defaults={
            "step": report.step,
            "branch": saved.branch,
            "size_bytes": saved.size_bytes,
            "sha256": saved.sha256[:64],
            "metrics": saved.metrics,
            "settings": msgspec.to_builtins(saved.settings),
            "reason": saved.reason[:200],
            "available": True,
        }
        | ({"pinned": True} if saved.pinned else {}),
    )
    if saved.kept:
        note_kept(report.run, saved.kept)
    tell_checkpoint(report, checkpoint)


def note_kept(run: Run, kept: dict[str, list[str]]) -> None:
    """Which rules of the process hold which files: told whole with each one that is saved."""
    if len(kept) > MAX_KEPT:
        raise BadEvent(f"{len(kept)} checkpoints are told to be kept; at most {MAX_KEPT} are taken")
    held = run.checkpoints.filter(available=True).order_by("-id")[:MAX_KEPT]
    for pk, path, was in held.values_list("pk", "path", "kept_by"):
        rules = [text(rule, 40) for rule in kept.get(path, [])[:5]]
        if rules != was:
            Checkpoint.objects.filter(pk=pk).update(kept_by=rules)


def on_checkpoint_gone(report: Report) -> None:
    path = report.event.data.get("path")
    for checkpoint in report.run.checkpoints.filter(path=text(str(path), 1000), available=True):
        checkpoint.available = False
        checkpoint.save(update_fields=["available"])
        tell_checkpoint(report, checkpoint)


def tell_checkpoint(report: Report, checkpoint: Checkpoint) -> None:
    publish_change(
        f"run:{report.run.code}",
        "checkpoint",
        {"id": checkpoint.pk, "step": checkpoint.step, "available": checkpoint.available},
    )


def on_branch(report: Report) -> None:
    branch = msgspec.convert(plain(report.event.data, "branch"), BranchData)
    if not 0 <= branch.index < 2**31 or not 0 <= branch.from_step <= MAX_STEP:
        raise BadEvent(f"index={branch.index} from_step={branch.from_step}; expected 0 or more")
    if any(have.get("index") == branch.index for have in report.run.branches):
        return
    entry = {
        "index": branch.index,
        "from_step": branch.from_step,
        "reason": branch.reason[:200],
        "at": timezone.now().isoformat(),
    }
    report.run.branches = sorted([*report.run.branches, entry], key=lambda have: have["index"])
    report.run.save(update_fields=["branches"])
    record(report, "branch", reason=f"{branch.reason or 'branch'} from step {branch.from_step}", data=entry)
    publish_change(
        f"run:{report.run.code}", "run", {"code": report.run.code, "branches": report.run.branches}
    )


def on_state(report: Report) -> None:
    told = msgspec.convert(plain(report.event.data, "state"), StateData)
    if told.state not in {RunState.RUNNING, RunState.PAUSED, RunState.STOPPING}:
        raise BadEvent(f"state={told.state!r:.40}; expected running, paused or stopping")
    # What a process said before its end, heard after it, changes nothing; only a Hello revives a run.
    if report.sender.role == "process" and report.sender.rank == 0 and report.run.state in LIVE:
        states.move(report.run, told.state, told.reason[:2000], actor="the process", step=report.step)


def on_reflex(report: Report) -> None:
    data = plain(report.event.data, "reflex")
    name = text(str(data.get("name") or "reflex"), 200)
    record(report, "reflex", new=name, reason=str(data.get("reason") or ""), data={"figures": data})


def on_algorithm(report: Report) -> None:
    """What a change of the algorithm does or did, with its measured table: see docs/contracts.md."""
    told = msgspec.convert(plain(report.event.data, "algorithm"), AlgorithmData)
    if told.outcome not in OUTCOMES:
        raise BadEvent(f"outcome={told.outcome!r:.40}; expected {', '.join(sorted(OUTCOMES))}")
    data = {
        "verb": text(told.verb, 12), "outcome": told.outcome, "table": told.table, "export": told.export
    }  # fmt: skip
    record(report, "algorithm", new=f"{data['verb']} {told.outcome}", reason=told.reason, data=data)


def on_error(report: Report) -> None:
    data = plain(report.event.data, "error")
    trace = str(data.get("traceback") or "")
    record(report, "error", reason=str(data.get("message") or ""), data={"traceback": trace[-20_000:]})


def on_note(report: Report) -> None:
    data = plain(report.event.data, "note")
    record(report, "note", reason=str(data.get("message") or ""))


def on_finish(report: Report) -> None:
    told = msgspec.convert(plain(report.event.data, "finish"), StateData)
    if told.state not in {RunState.FINISHED, RunState.FAILED, RunState.STOPPED}:
        raise BadEvent(f"state={told.state!r:.40}; expected finished, failed or stopped")
    number = report.sender.attempt
    record(report, "finish", new=told.state, reason=told.reason, data={"attempt": number})
    if report.sender.role != "process" or report.sender.rank != 0 or ended_by_attempt(report.run):
        return
    state = told.state
    job: Job | None = getattr(report.run, "job", None)
    if job is not None and number:
        # Of an attempt that was given up. Afterwards: it locks the job, then the run, and the run is locked here.
        if state == RunState.FINISHED:
            transaction.on_commit(lambda: corrections.by_word(job.pk, number))
        if job.state == JobState.QUEUED:
            return
        if state == RunState.STOPPED:
            state = RunState.LOST  # ended by its node, which could not take it back; its job has failed
    if report.run.state not in ENDED or report.run.state == RunState.LOST:
        states.move(report.run, state, told.reason[:2000], actor="the process", step=report.step)
    commands.expire_open(report.run, f"the run ended ({state}) before it was applied")


def ended_by_attempt(run: Run) -> bool:
    """Whether an attempt of the run's job still stands, whose exit will decide the run's end."""
    job = getattr(run, "job", None)
    return job is not None and job.attempts.filter(ended_at=None).exists()


HANDLERS: dict[str, Callable[[Report], None]] = {
    EventKind.CONFIG: on_config,
    EventKind.TUNABLE: on_tunable,
    EventKind.ACTION: on_action,
    EventKind.VERB: on_verb,
    EventKind.COMMAND: on_command,
    EventKind.CHECKPOINT: on_checkpoint,
    EventKind.CHECKPOINT_GONE: on_checkpoint_gone,
    EventKind.BRANCH: on_branch,
    EventKind.STATE: on_state,
    EventKind.REFLEX: on_reflex,
    EventKind.ALGORITHM: on_algorithm,
    EventKind.ERROR: on_error,
    EventKind.NOTE: on_note,
    EventKind.FINISH: on_finish,
}
