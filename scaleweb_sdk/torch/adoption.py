"""Going on from another run's weights, as population based training does: what is taken over and what stays.

Taken: the weights, the optimiser's memory (momentum, moments), the loss scaler, the script's further objects. Kept:
the step, the place in the data, every random generator, the schedule's place, and all settings: rates, decay and
the other figures of the optimiser's groups are the run's own, and orders in the same decision change them.
Source: Jaderberg et al. 2017, arXiv 1711.09846, section 3 (exploit).
"""

import copy
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaleweb_sdk.orders import Refused

from .agreement import check_joined, together
from .checkpoints import BrokenCheckpoint, sha256_of
from .keeper import Keeper

if TYPE_CHECKING:
    from .loop import Loop

KEPT = frozenset({"scheduler"})  # parts that stay the run's own
# What a scheduler adds to an optimiser's groups, which says nothing about the kind of optimiser.
SCHEDULED = {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum"}


def take_over(loop: "Loop", wanted: dict[str, Any]) -> None:
    """Put the checkpoint {"run", "step", "path", "sha256", "host"} of another run in force at this step boundary.

    All or nothing. Raises Refused or BrokenCheckpoint, having changed nothing.
    """
    check_joined(loop.run, loop.agreement)
    path = Path(str(wanted["path"]))

    def read() -> dict[str, Any]:
        check_file(path, wanted)
        state = loop.keeper.read(path, without=KEPT)
        check_memory(loop.keeper, state, path)
        return state

    # Of several ranks all must be able to, before the first one does.
    state = together(loop.agreement, read)
    graft(loop.keeper, state, path)
    loop.went_on_with(state)
    loop.run.branched(loop.step, "adopt")
    # At once: a process that resumes from an older checkpoint would have lost what was taken over.
    loop.save(f"took over step {wanted['step']} of run {wanted['run']}")


def check_file(path: Path, wanted: dict[str, Any]) -> None:
    """Raises Refused unless the file is the one that was ordered."""
    if not path.is_file():
        here, there = socket.gethostname(), str(wanted.get("host") or "")
        where = (
            f"it was written on {there} and this process runs on {here}" if there else f"looked for on {here}"
        )
        raise Refused(
            f"{path}: there is no such file ({where}); it was removed by its run's keep rule, or the folder of "
            "checkpoints is not shared between the two"
        )
    expected, found = str(wanted["sha256"]), sha256_of(path)
    if found != expected:
        raise Refused(
            f"{path}: is not the file that was registered: its SHA-256 is {found[:12]}…, expected {expected[:12]}…"
        )


def check_memory(keeper: Keeper, state: dict[str, Any], path: Path) -> None:
    """Raises BrokenCheckpoint where the optimiser's memory is of another kind."""
    memory_under(keeper.parts["optimizer"].state_dict(), state["parts"]["optimizer"], path)


def graft(keeper: Keeper, state: dict[str, Any], path: Path) -> None:
    """Their weights and the optimiser's memory under our settings. Raises BrokenCheckpoint, having changed nothing."""
    parts = {name: part for name, part in keeper.parts.items() if name not in KEPT}
    own = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    theirs = {name: state["parts"][name] for name in parts}
    theirs["optimizer"] = memory_under(own["optimizer"], theirs["optimizer"], path)
    try:
        for name, part in parts.items():
            part.load_state_dict(theirs[name])
    except (ValueError, KeyError, RuntimeError) as error:
        for name, part in parts.items():
            part.load_state_dict(own[name])
        raise BrokenCheckpoint(f"{path}: does not fit this training: {error}") from error


def memory_under(own: dict[str, Any], theirs: dict[str, Any], path: Path) -> dict[str, Any]:
    """The optimiser's state with their memory and our groups' figures. Raises BrokenCheckpoint for another kind."""
    mine, others = own["param_groups"], theirs["param_groups"]
    if [len(group["params"]) for group in mine] != [len(group["params"]) for group in others]:
        raise BrokenCheckpoint(
            f"{path}: its optimiser has {len(others)} groups of parameters that are not as ours"
        )
    for left, right in zip(mine, others, strict=True):
        odd = (left.keys() ^ right.keys()) - SCHEDULED
        if odd:
            raise BrokenCheckpoint(
                f"{path}: was written with another kind of optimiser; one of the two has no {', '.join(sorted(odd))}"
            )
    groups = [{**left, "params": right["params"]} for left, right in zip(mine, others, strict=True)]
    return {"state": theirs["state"], "param_groups": groups}
