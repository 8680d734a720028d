"""The state of a training as one value: taken for a checkpoint, put back for a resumption or a roll back."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import torch

from scaleweb_sdk.run import Run

from . import randomness
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
    ) -> None:
        self.run = run
        self.folder = folder
        self.rates = rates
        self.feed = feed
        self.parts: dict[str, Any] = {"model": model, "optimizer": optimizer}
        if rates.scheduler is not None:
            self.parts["scheduler"] = rates.scheduler
        self.parts |= further
        self.parts |= {f"extra/{name}": part for name, part in extra.items()}
        self._optional = optional
        self._generators = [] if feed is None else feed.generators()
        self._levels: dict[Path, float] = {}
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
    ) -> Saved | None:
        """Write and report a checkpoint; None, with a note on the run, when the disk does not take it.

        level: the running mean of the loss, NaN while there is none. ending: see Controls.ending.
        """
        if self.folder is None or self.run.rank != 0:
            return None
        state = {
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
            "random": randomness.capture(self._generators),
            "feed": None if self.feed is None else self.feed.state(),
            "saved_at": time.time(),
            "parts": {name: part.state_dict() for name, part in (self.parts | self._optional).items()},
        }
        try:
            saved = self.folder.save(state, step, self.run.branch, pinned)
            self._levels[saved.path] = level
            gone = self.folder.remove_old(self._best())
        except (OSError, BrokenCheckpoint) as error:
            self.run.reflex("checkpoint_failed", f"no checkpoint at step {step}: {error}; training goes on")
            return None
        self.saved = [s for s in self.saved if s.path not in {*gone, saved.path}] + [saved]
        self.run.checkpointed(
            str(saved.path), step, metrics, reason, size_bytes=saved.size_bytes, sha256=saved.sha256
        )
        for path in gone:
            self.run.checkpoint_gone(str(path), f"only the best and the newest {self.folder.keep} are kept")
            self._levels.pop(path, None)
        return saved

    def _best(self) -> Path | None:
        """The checkpoint with the least loss: where to go back to when a training has been broken for long."""
        finite = {path: level for path, level in self._levels.items() if math.isfinite(level)}
        return min(finite, key=lambda path: finite[path]) if finite else None

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
        saved = parts["model"]
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
        """The place in the data and every random generator, for a resumption that continues bit by bit."""
        if self.feed is not None and state["feed"] is not None:
            try:
                self.feed.restore(state["feed"])
            except ValueError as error:
                self.run.note(f"the data starts a new epoch: {error}")
        randomness.restore(state["random"], self._generators)

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
