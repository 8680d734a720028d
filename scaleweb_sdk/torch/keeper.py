"""The state of a training as one value: taken for a checkpoint, put back for a resumption or a roll back."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import torch

from scaleweb_sdk import pins
from scaleweb_sdk.orders import Refused
from scaleweb_sdk.run import Run

from . import randomness
from .agreement import Agreement
from .checkpoints import BrokenCheckpoint, CheckpointFolder, Saved, load
from .feed import Feed
from .rates import Rates

# Parts that checkpoints of earlier versions do not hold: what they did not know of was not there.
LATER_PARTS = {"masks"}


class Keeper:
    """Saves and restores model, optimiser, scheduler, the feed, and further objects with state_dict by name:
    those of the loop itself (`further`) and of the script (`extra`). A checkpoint may lack the `optional` ones."""

    def __init__(
        self,
        run: Run,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        rates: Rates,
        feed: Feed | None,
        further: dict[str, Any],
        extra: dict[str, Any],
        optional: dict[str, Any],
        folder: CheckpointFolder | None,
        agreement: Agreement | None = None,
    ) -> None:
        self.run = run
        self.folder = folder
        self.agreement = agreement
        self.rates = rates
        self.feed = feed
        self.parts: dict[str, Any] = {"model": model, "optimizer": optimizer}
        if rates.scheduler is not None:
            self.parts["scheduler"] = rates.scheduler
        self.parts |= further
        self.parts |= {f"extra/{name}": part for name, part in extra.items()}
        self._optional = optional
        self._generators = [] if feed is None else feed.generators()
        self.best_of: tuple[str, str] | None = (
            None  # key and direction (min, max) of the metric that names the best
        )
        self.compiled: dict[str, Any] | None = None  # how the model was compiled on request, None: as it came
        self.saved: list[Saved] = []  # by this process, oldest first, those that still exist

    def save(
        self,
        step: int,
        metrics: dict[str, float],
        level: float,
        reason: str,
        pinned: bool,
        ending: dict[str, int] | None = None,
        noise_scale: float | None = None,
        together: bool = True,
    ) -> Saved | None:
        """Write and report a checkpoint; None, with a note on the run, when the disk does not take it.

        level: the running mean of the loss, NaN while there is none. ending: see Controls.ending. Of several ranks
        the first one writes, and all know what came of it. together: they all call this at the same step, and
        the place and random state of each goes in; False for a rank that saves on its own.
        """
        if self.folder is None:
            return None
        own = {
            "random": randomness.capture(self._generators),
            "feed": None if self.feed is None else self.feed.state(),
        }
        if self.agreement is None or not together:
            state = self._state(step, metrics, level, ending, noise_scale, [own])
            return self._write(state, step, metrics, level, reason, pinned) if self.run.rank == 0 else None
        ranks = self.agreement.gather(own)
        saved = None
        if self.run.rank == 0:
            state = self._state(step, metrics, level, ending, noise_scale, ranks)
            saved = self._write(state, step, metrics, level, reason, pinned)
        saved, there = self.agreement.from_first((saved, [each.path for each in self.saved]))
        if self.run.rank and saved is not None:
            self.saved = [s for s in self.saved if s.path in there and s.path != saved.path] + [saved]
        return saved

    def _state(
        self,
        step: int,
        metrics: dict[str, float],
        level: float,
        ending: dict[str, int] | None,
        noise_scale: float | None,
        ranks: list[dict[str, Any]],
    ) -> dict[str, Any]:
        return {
            "step": step,
            "run": self.run.code,
            "branch": self.run.branch,
            "applied_seq": self.run.applied_seq,
            "served_step": self.run.desk.served_step,
            "ending": ending,
            "settings": {name: tunable.value for name, tunable in self.run.tunables.items()},
            "metrics": metrics,
            "level": level,
            "compiled": self.compiled,
            "noise_scale": noise_scale,
            **ranks[0],
            "world_size": self.run.world_size,
            "ranks": ranks,
            "saved_at": time.time(),
            "parts": {name: part.state_dict() for name, part in (self.parts | self._optional).items()},
        }

    def _write(
        self,
        state: dict[str, Any],
        step: int,
        metrics: dict[str, float],
        level: float,
        reason: str,
        pinned: bool,
    ) -> Saved | None:
        assert self.folder is not None
        try:
            saved = self.folder.save(state, step, self.run.branch, pinned)
            best = self._best(saved.path, level)
            gone = self.folder.remove_old(best.values())
        except (OSError, BrokenCheckpoint) as error:
            self.run.reflex("checkpoint_failed", f"no checkpoint at step {step}: {error}; training goes on")
            return None
        self.saved = [s for s in self.saved if s.path not in {*gone, saved.path}] + [saved]
        self.run.checkpointed(
            str(saved.path),
            step,
            metrics,
            reason,
            size_bytes=saved.size_bytes,
            sha256=saved.sha256,
            pinned=pinned,
            kept=self._held(best),
        )
        for path in gone:
            self.run.checkpoint_gone(str(path), f"only the best and the newest {self.folder.keep} are kept")
        return saved

    def _held(self, best: dict[str, Path]) -> dict[str, list[str]]:
        """Which of its rules hold which file."""
        assert self.folder is not None
        held: dict[str, list[str]] = {str(path): ["newest"] for path in self.folder.newest}
        for rule, path in best.items():
            held.setdefault(str(path), []).append(rule)
        return held

    def _best(self, path: Path, level: float) -> dict[str, Path]:
        """`loss`: the checkpoint with the least loss, where to go back to when a training has been broken for long;
        `metric`: the one with the best of the metric by which the run is judged.

        path, level: the one that was just saved, its running loss.
        """
        assert self.folder is not None
        ranking = {
            name: told for name, told in self.folder.ranking().items() if (self.folder.folder / name).exists()
        }
        told = {} if not math.isfinite(level) else {"loss": level}
        newest = self.run.newest_watched
        if self.best_of is not None and newest is not None and math.isfinite(newest):
            told["metric"] = newest
        ranking[path.name] = told
        self.folder.rank(ranking)
        found = {}
        for kind, sign in (("loss", 1), ("metric", -1 if self.best_of and self.best_of[1] == "max" else 1)):
            able = [name for name, each in ranking.items() if kind in each]
            if able:
                # Of equals the newest: more was learned since.
                best = min(reversed(able), key=lambda name: sign * ranking[name][kind])
                found[kind] = self.folder.folder / best
        return found

    def pin(self, path: Path, pinned: bool) -> None:
        """Keep a checkpoint of this run whatever the rule says, or leave it to the rule. Raises Refused."""
        if self.folder is None or path.parent != self.folder.folder:
            raise Refused(f"{path} is not in this training's folder of checkpoints")
        if self.run.rank == 0:
            try:
                pins.pin(path, pinned)
            except OSError as error:
                raise Refused(str(error)) from error

    def read(self, path: Path, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """A checkpoint that fits this training. Raises BrokenCheckpoint, having changed nothing.

        without: parts that it need not hold.
        """
        state = load(path)
        parts = state["parts"]
        for name in LATER_PARTS:
            parts.setdefault(name, {})
        missing = sorted(set(self.parts) - set(parts) - without)
        if missing:
            raise BrokenCheckpoint(f"{path}: holds no state of {', '.join(missing)}, which this training has")
        have = self.parts["model"].state_dict()
        saved = parts["model"] = without_wrapper(parts["model"], have)
        odd = [name for name in have if name not in saved] + [name for name in saved if name not in have]
        odd += [
            f"{name} {tuple(saved[name].shape)} for {tuple(value.shape)}"
            for name, value in have.items()
            if isinstance(value, torch.Tensor) and name in saved and saved[name].shape != value.shape
        ]
        if odd:
            raise BrokenCheckpoint(f"{path}: is of another model; differing: {', '.join(odd[:5])}")
        return state

    def put_back(self, state: dict[str, Any], path: Path) -> None:
        """Weights, optimiser, scheduler and extra parts as they were. Raises BrokenCheckpoint."""
        try:
            # The optimiser first: it checks before it changes anything, and the model was checked in `read`.
            for name in sorted(self.parts, key=lambda name: name != "optimizer"):
                self.parts[name].load_state_dict(state["parts"][name])
            for name in self._optional.keys() & state["parts"].keys():
                self._optional[name].load_state_dict(state["parts"][name])
        except (ValueError, KeyError, RuntimeError) as error:
            raise BrokenCheckpoint(f"{path}: does not fit this training: {error}") from error
        if "lr" in state["settings"]:
            self.rates.restored(float(state["settings"]["lr"]))

    def put_back_stream(self, state: dict[str, Any]) -> None:
        """The place in the data and every random generator, for a resumption that continues bit by bit.

        With another number of ranks the rest of the epoch is dealt out anew.
        """
        world, rank = int(state.get("world_size") or 1), self.run.rank
        ranks = state.get("ranks") or [{"random": state["random"], "feed": state["feed"]}]
        same = world == self.run.world_size and len(ranks) == world
        mine = ranks[rank % len(ranks)]
        if self.feed is not None and mine["feed"] is not None:
            try:
                self.feed.restore(mine["feed"], None if same else self._place_in(mine["feed"], world, ranks))
            except ValueError as error:
                self.run.note(f"the data starts a new epoch: {error}")
        if rank < len(ranks):
            randomness.restore(mine["random"], self._generators)
        else:
            randomness.restore_apart(mine["random"], rank, self._generators)

    def _place_in(self, feed: dict[str, Any], world: int, ranks: list[dict[str, Any]]) -> int | None:
        """How much of its share of the epoch this rank passes over, so that all ranks together pass over what is done.

        A sampler that deals one order out to ranks in turn (torch's DistributedSampler) goes on without a gap.
        """
        if not feed.get("replicas") or not getattr(self.feed, "replicas", 0):
            if self.run.rank == 0:
                self.run.note(
                    "the sampler does not deal one order out to the ranks, as DistributedSampler does: each goes on "
                    "in an order of its own, and samples of this epoch may come again"
                )
            return None
        states = [each["feed"] for each in ranks]
        done = sum(each["consumed"] for each in states) * world // len(states)
        again = done % self.run.world_size
        if again and self.run.rank == 0:
            self.run.note(
                f"{again} samples of this epoch come again: {self.run.world_size} ranks share the rest"
            )
        return int(done // self.run.world_size)

    def find_resumable(self, wanted: Path) -> tuple[dict[str, Any], Path] | None:
        """The checkpoint asked for or, where it is broken, the newest older one beside it that is not."""
        try:
            return self.read(wanted), wanted
        except BrokenCheckpoint as error:
            self._refuse(f"cannot resume from {error}")
        older = [path for path in wanted.parent.glob("step-*.pt") if path.name < wanted.name]
        for path in sorted(older, reverse=True):
            try:
                return self.read(path), path
            except BrokenCheckpoint as error:
                self._refuse(f"cannot resume from {error}")
        self._refuse("no checkpoint is left to resume from: the training starts at step 0")
        return None

    def _refuse(self, message: str) -> None:
        print(f"scaleweb: {message}", file=sys.stderr, flush=True)
        self.run.reflex("resume_refused", message)


def core_of(model: torch.nn.Module) -> torch.nn.Module:
    """The model itself where it is wrapped for several ranks: its checkpoints fit with and without the wrapper."""
    return model.module if isinstance(model, torch.nn.parallel.DistributedDataParallel) else model


def without_wrapper(saved: dict[str, Any], have: dict[str, Any]) -> dict[str, Any]:
    """A model's state as one that is not wrapped takes it; checkpoints of earlier versions hold the wrapper's names."""
    prefix = "module."
    if not saved or saved.keys() == have.keys() or not all(name.startswith(prefix) for name in saved):
        return saved
    return {name.removeprefix(prefix): value for name, value in saved.items()}
