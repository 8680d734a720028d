"""Which events of a run need no mark of their own, because another mark tells of the same thing, and tells more."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import Any

from training.models import Command, RunEvent

STATE_AFTER = {"pause": "paused", "resume": "running", "stop": "stopping"}
ROLLED_BACK = "rolled_back"  # the reflex of scaleweb_sdk.torch.reflexes, right after the branch that it made
# A job's stop asks its process and moves its run in one transaction.
STOP_WITHIN = timedelta(minutes=1)
# From the moment a process connects until it has read the checkpoint that it goes on from.
READ_WITHIN = timedelta(minutes=10)


def told_by_others(
    commands: Iterable[Command], events: Iterable[RunEvent]
) -> tuple[set[int], dict[int, str]]:
    """({id of an event without a mark}, {id of an event: what else its mark says}).

    A command says who asked and why, which the state, the branch and the lineage that it led to do not. The resumption
    from a checkpoint stands for the process that came for it, a run's end for what the process said of it, and the
    reflex by which a process goes back says why.
    """
    in_order = sorted(events, key=lambda event: event.pk)
    told = of_commands(commands, in_order)
    besides: dict[int, str] = {}
    came: RunEvent | None = None  # the last process that connected, until it goes on from somewhere
    said: RunEvent | None = None  # the last word of a process, until the run's state follows it
    back: RunEvent | None = None  # the last roll back that nobody asked for
    for event in in_order:
        if event.kind == "finish":
            said = event
        elif event.kind == "state":
            if said is not None and said.new == event.new:
                told.add(said.pk)
            connected = event.new == "running" and event.actor == "the process" and event.step is None
            came, said = (event if connected else None), None
        elif event.kind == "reflex" and event.new == ROLLED_BACK:
            if back is not None and back.data.get("from_step") == figures_of(event).get("to_step"):
                told.add(back.pk)
            back = None
        elif event.kind == "branch":
            if event.data.get("reason") == "resume" and came and event.at - came.at <= READ_WITHIN:
                told.add(came.pk)
                besides[event.pk] = came.reason
            back = event if event.data.get("reason") == "rollback" and event.pk not in told else None
            came = None
    return told, besides


def figures_of(event: RunEvent) -> dict[str, Any]:
    figures = event.data.get("figures")
    return figures if isinstance(figures, dict) else {}


def of_commands(commands: Iterable[Command], events: Iterable[RunEvent]) -> set[int]:
    """Ids of the events that these commands made: of several alike each command has the nearest in time."""
    alike: dict[Hashable, list[RunEvent]] = defaultdict(list)
    for event in events:
        alike[key_of_event(event)].append(event)
    told = set()
    for command in commands:
        for key, when, within in keys_of_command(command):
            found = min(alike[key], key=lambda event: abs(event.at - when), default=None)
            if found is not None and (within is None or abs(found.at - when) <= within):
                alike[key].remove(found)
                told.add(found.pk)
    return told


def key_of_event(event: RunEvent) -> Hashable:
    if event.kind == "state":
        # What the process told has a step; what the site did has not.
        return ("state", event.new, event.actor if event.step is None else event.step)
    if event.kind == "branch":
        return ("branch", event.data.get("reason"), event.data.get("from_step"))
    return (event.kind, event.data.get("command") if event.kind == "lineage" else None)


def keys_of_command(command: Command) -> list[tuple[Hashable, datetime, timedelta | None]]:
    """(key of an event that it made, when, how far from then that may be at most)."""
    made: list[tuple[Hashable, datetime, timedelta | None]] = []
    if command.verb == "stop":
        made.append((("state", "stopping", command.asked_by), command.created_at, STOP_WITHIN))
    if command.state != "applied" or command.applied_at is None:
        return made
    value: dict[str, Any] = command.value if isinstance(command.value, dict) else {}
    keys: list[Hashable] = []
    if command.verb in STATE_AFTER:
        keys = [("state", STATE_AFTER[command.verb], command.applied_step)]
    elif command.verb == "rollback":
        keys = [("branch", "rollback", value.get("step"))]
    elif command.verb == "adopt":
        keys = [("branch", "adopt", command.applied_step), ("lineage", command.seq)]
    return made + [(key, command.applied_at, None) for key in keys]
