"""Commands that wait for a step, or for each other: what may, who knows how, and what takes their place."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import Max, Q

from scaleweb_sdk.protocol import MAX_STEP

from .models import Command, CommandState, Run
from .models.command import Verb
from .refusals import CommandRefused

S = CommandState
OPEN = (S.PENDING, S.SENT)
# What may wait for its step: what would be no surprise to the process, nor to who reads the page by then.
MAY_WAIT = (Verb.SET, Verb.PAUSE, Verb.STOP, Verb.CHECKPOINT)
MOST_WAITING = 300  # of one run
# Which commands need what of `protocol.KNOWS`.
NEEDS = {"agenda": Q(at_step__isnull=False), "groups": ~Q(group="")}
WORDS = {"agenda": "wait for a step", "groups": "apply several changes as one"}
# Settings that a newer one may take the place of: one of a group would leave the others behind.
UNSENT = Q(verb=Verb.SET, state=S.PENDING, at_step=None, group="")


def next_seq(run: Run) -> int:
    """The number of the run's next command. Call with the run locked."""
    return (run.commands.aggregate(last=Max("seq"))["last"] or 0) + 1


def check_step(run: Run, verb: str, at_step: int | None, more: int = 1) -> None:
    """Raise CommandRefused unless the command may wait for this step. more: how many are to wait."""
    if at_step is None:
        return
    if verb not in MAY_WAIT:
        can = ", ".join(MAY_WAIT)
        raise CommandRefused("at_step", f"{verb} cannot wait for a step; what can is {can}")
    if not 0 <= at_step <= MAX_STEP:
        raise CommandRefused("at_step", f"at_step={at_step} is outside 0..2^53")
    if run.last_step is not None and at_step <= run.last_step:
        raise CommandRefused("at_step", f"at_step={at_step} has passed: the run is at step {run.last_step}")
    check_knows(run, "agenda")
    have = run.commands.filter(state__in=OPEN, at_step__isnull=False).count()
    if have + more > MOST_WAITING:
        raise CommandRefused(
            "at_step",
            f"{have} changes wait for their step already; at most {MOST_WAITING} may, and this adds {more}",
        )


def check_knows(run: Run, needed: str) -> None:
    """Raise CommandRefused where the run's process has said what it knows, and this is not in it."""
    if run.process.get("sdk") and needed not in run.process.get("knows", ()):
        raise CommandRefused("at_step" if needed == "agenda" else "settings", too_old(needed))


def too_old(needed: str) -> str:
    return f"the SDK of this run's process is too old to {WORDS[needed]}; install the SDK of the server's version"


def planned(run: Run, tunable: str) -> Command | None:
    """The next change of a setting that a person has planned."""
    waiting = run.commands.filter(verb=Verb.SET, tunable=tunable, by_person=True)
    return waiting.filter(state__in=OPEN, at_step__isnull=False).order_by("at_step").first()


def find_waiting(run: Run, value: Any) -> dict[str, list[int]]:
    """The commands that a `cancel` names, as the process gets it. value: {"commands": [numbers]}."""
    wanted = value.get("commands") if isinstance(value, dict) else None
    whole = isinstance(wanted, list) and all(type(seq) is int and 0 < seq < 2**63 for seq in wanted)
    if not isinstance(wanted, list) or not whole or not 1 <= len(wanted) <= MOST_WAITING:
        raise CommandRefused(
            "value", f'value={value!r:.80} names no commands; expected {{"commands": [numbers]}}'
        )
    open_now = set(waiting_in(run, seq__in=wanted).values_list("seq", flat=True))
    gone = sorted(set(wanted) - open_now)
    if gone:
        raise CommandRefused("state", f"#{gone[0]} does not wait for a step any more")
    return {"commands": sorted(open_now)}


def waiting_in(run: Run, **which: Any) -> Any:
    return run.commands.filter(state__in=OPEN, at_step__isnull=False, **which)


def let_go(run: Run, verb: str, tunable: str, value: Any, seq: int) -> list[int]:
    """End what waits and gives way to command #seq: what no process has yet at once, the rest by that command.

    Returns the numbers of the rest. Groups go whole.
    """
    from .commands import close

    if verb == Verb.SET:
        old = waiting_in(run, verb=Verb.SET, tunable=tunable)
    elif verb == Verb.CANCEL:
        old = waiting_in(run, seq__in=value["commands"])
    else:
        return []
    groups = set(old.exclude(group="").values_list("group", flat=True))
    seqs = set(old.values_list("seq", flat=True))
    if not seqs:
        return []
    seqs |= set(waiting_in(run, group__in=groups).values_list("seq", flat=True))
    close(waiting_in(run, seq__in=seqs).filter(state=S.PENDING), S.SUPERSEDED, f"let go of for #{seq}")
    return sorted(waiting_in(run, seq__in=seqs).values_list("seq", flat=True))


def group_sizes(run: Run, found: Iterable[Command]) -> dict[str, int]:
    """{group: how many of it are handed out}. A group of which some were answered before a restart counts as none:
    all of it was decided then, and what is left is applied as it comes."""
    sizes = Counter(command.group for command in found if command.group)
    if not sizes:
        return {}
    answered = run.commands.filter(group__in=sizes).exclude(state__in=OPEN).values_list("group", flat=True)
    return {group: size for group, size in sizes.items() if group not in set(answered)}
