"""What may be asked of a run: a command is held against the run, its settings and its checkpoints before it is kept."""

from collections.abc import Iterable
from typing import Any

from monitoring.plain import NotPlain, plain, text

from . import offers, waiting
from .models import Checkpoint, Command, Run
from .models.command import OPEN, VOID, Verb
from .refusals import CommandRefused
from .states import ENDED, RunState
from .values import BadValue, check_value, shown

# These change the run as a whole: whatever a person asked of it meanwhile stands against them.
FOR_THE_WHOLE_RUN = {Verb.STOP, Verb.ADOPT, Verb.RESCALE}


def check_state(run: Run, verb: str) -> None:
    if run.state in ENDED:
        raise CommandRefused("state", f"the run has ended ({run.state}); {verb} needs a running process")
    if run.state == RunState.QUEUED:
        raise CommandRefused(
            "state", f"the run is queued and has no process yet; {verb} can be asked once it has started"
        )
    if run.state == RunState.STOPPING:
        raise CommandRefused("state", f"the run is stopping; {verb} would come too late")


def check_hand(run: Run, verb: str, tunable: str, since: int) -> None:
    """A person's word that came while somebody else was still deciding wins, sent or not; and so does a plan."""
    planned = waiting.planned(run, tunable) if verb == Verb.SET else None
    if planned is not None:
        raise refuse_for(planned)
    asked = run.commands.filter(by_person=True, seq__gt=since)
    if verb not in FOR_THE_WHOLE_RUN:
        asked = asked.filter(verb=verb, tunable=tunable)
    newest = asked.exclude(state__in=VOID).order_by("-seq").first()
    if newest is not None:
        raise refuse_for(newest)


def refuse_for(newest: Command) -> CommandRefused:
    """The refusal that a person's own command is the reason of."""
    if newest.at_step is not None:
        plan = f"{newest.asked_by} has planned {newest.tunable} to be {shown(newest.value)} at step {newest.at_step}"
        return CommandRefused("person", f"{plan} (#{newest.seq})")
    was_set = f"set {newest.tunable} to {shown(newest.value)}"
    what = was_set if newest.verb == Verb.SET else f"asked for {newest.verb}"
    return CommandRefused("person", f"{newest.asked_by} {what} meanwhile (#{newest.seq})")


def check_arguments(run: Run, verb: str, name: str, value: Any) -> tuple[str, Any]:
    if verb == Verb.SET:
        return check_set(run, name, value)
    if verb == Verb.ACTION:
        return check_action(run, name, value)
    if verb == Verb.CANCEL:
        return "", waiting.find_waiting(run, value)
    if name:
        raise CommandRefused("tunable", f"{verb} takes no tunable, but got {name!r:.80}")
    if verb == Verb.ROLLBACK:
        return "", find_checkpoint(run, value)
    if verb == Verb.ADOPT:
        return "", find_to_adopt(run, value)
    if verb == Verb.PIN:
        return "", find_to_pin(run, value)
    if verb in offers.OFFERED:
        checked = check_offer(run, verb, value)
        return "", check_rescale(run, checked) if verb == Verb.RESCALE else checked
    if verb == Verb.STOP and isinstance(value, dict) and isinstance(value.get("why"), str):
        return "", {"why": text(value["why"], 10_000)}
    if value is not None:
        raise CommandRefused("value", f"{verb} takes no value, but got {value!r:.80}")
    offered = run.process.get("verbs")
    if isinstance(offered, list) and verb not in offered:
        raise CommandRefused(
            "verb",
            f"the process does not offer {verb}; it offers {', '.join(map(str, offered)) or 'nothing'}",
        )
    return "", None


def check_offer(run: Run, verb: str, value: Any) -> dict[str, Any]:
    try:
        return offers.check_value_of(run, verb, value)
    except offers.NotOffered as error:
        raise CommandRefused("verb", str(error)) from None
    except BadValue as error:
        raise CommandRefused("value", str(error)) from None


def check_rescale(run: Run, value: dict[str, Any]) -> dict[str, Any]:
    """Raises CommandRefused where the run's job could not be given other devices, or has these."""
    job = getattr(run, "job", None)
    attempt = None if job is None else job.attempts.filter(ended_at=None).first()
    if attempt is None:
        raise CommandRefused(
            "state", "the run has no live attempt of a job; only those can have other devices"
        )
    if run.commands.filter(verb=Verb.RESCALE, state__in=OPEN).exists():
        raise CommandRefused(
            "verb", "it is being rescaled already; wait for that, it takes effect at a step boundary"
        )
    if value["devices"] == attempt.devices.count() and not value["elsewhere"]:
        raise CommandRefused("value", f"it has {value['devices']} devices already, and was not asked to move")
    return value


def check_set(run: Run, name: str, value: Any) -> tuple[str, Any]:
    tunable = run.tunables.filter(name=name).first()
    if tunable is None:
        raise undeclared(name, run.tunables.values_list("name", flat=True))
    try:
        return name, check_value(tunable, value)
    except BadValue as error:
        raise CommandRefused("value", str(error)) from None


def undeclared(name: str, known: Iterable[str]) -> CommandRefused:
    declared = ", ".join(known) or "none"
    return CommandRefused(
        "tunable", f"the run declares no tunable named {name!r:.80}; it declares {declared:.500}"
    )


def check_action(run: Run, name: str, value: Any) -> tuple[str, Any]:
    action = next((action for action in run.actions if action.get("name") == name), None)
    if action is None:
        listed = ", ".join(str(action.get("name")) for action in run.actions) or "none"
        raise CommandRefused("tunable", f"the run offers no action {name!r:.80}; it offers {listed:.500}")
    try:
        if action.get("parameters"):
            return name, offers.fill_from(name, action["parameters"], value)
        return name, plain(value)
    except (NotPlain, BadValue) as error:
        raise CommandRefused("value", str(error)) from None


def find_checkpoint(run: Run, value: Any) -> dict[str, Any]:
    """The roll back's target as the process gets it.

    value: {"checkpoint": id}, the id itself, {"step": s} for the newest at that step, or None for the
    newest of all.
    """
    usable = run.checkpoints.filter(available=True).order_by("-step", "-id")
    wanted = value.get("checkpoint") if isinstance(value, dict) else value
    at_step = value.get("step") if isinstance(value, dict) and wanted is None else None
    for number in (wanted, at_step):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise CommandRefused(
                "value", f'value={value!r:.80} names no checkpoint; expected {{"checkpoint": id}}'
            )
        if number is not None and abs(number) >= 2**63:
            raise CommandRefused("value", "the checkpoint's number is too large")
    if wanted is not None:
        usable = usable.filter(pk=wanted)
    if at_step is not None:
        usable = usable.filter(step=at_step)
    checkpoint: Checkpoint | None = usable.first()
    if checkpoint is None:
        newest = run.checkpoints.filter(available=True).values_list("pk", "step")[:5]
        have = ", ".join(f"{pk} (step {step})" for pk, step in newest) or "none"
        raise CommandRefused("value", f"the run has no such checkpoint to roll back to; it has {have}")
    return {"checkpoint": checkpoint.pk, "step": checkpoint.step, "path": checkpoint.path}


def find_to_pin(run: Run, value: Any) -> dict[str, Any]:
    """The checkpoint as the process gets it. value: {"checkpoint": id, "pinned": bool}."""
    if not isinstance(value, dict) or not isinstance(value.get("pinned"), bool) or "checkpoint" not in value:
        raise CommandRefused(
            "value", f'value={value!r:.80}; expected {{"checkpoint": id, "pinned": true or false}}'
        )
    return find_checkpoint(run, {"checkpoint": value["checkpoint"]}) | {"pinned": value["pinned"]}


def find_to_adopt(run: Run, value: Any) -> dict[str, Any]:
    """The checkpoint of another run of the same experiment as the process gets it. value: {"checkpoint": id}."""
    wanted = value.get("checkpoint") if isinstance(value, dict) else None
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 < wanted < 2**63:
        raise CommandRefused(
            "value", f'value={value!r:.80} names no checkpoint; expected {{"checkpoint": id}} of another run'
        )
    # Only within the experiment: who may steer this run may then read that one.
    siblings = Checkpoint.objects.filter(run__experiment=run.experiment_id).exclude(run=run.pk)
    checkpoint = siblings.select_related("run").filter(pk=wanted).first()
    if checkpoint is None:
        raise CommandRefused("value", f"no other run of this experiment has a checkpoint {wanted}")
    what = f"checkpoint {wanted} of run {checkpoint.run.code}"
    if not checkpoint.available:
        raise CommandRefused("value", f"{what} is gone: its file was removed or found broken")
    if not checkpoint.sha256:
        raise CommandRefused(
            "value", f"{what} was registered without its SHA-256, so it could not be verified"
        )
    return {
        "run": checkpoint.run.code,
        "checkpoint": checkpoint.pk,
        "step": checkpoint.step,
        "path": checkpoint.path,
        "sha256": checkpoint.sha256,
        "host": str(checkpoint.run.process.get("hostname") or ""),
    }
