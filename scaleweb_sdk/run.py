"""A run as the training script holds it: log, step, tunables, actions, checkpoints.

Nothing here raises into training or waits for the server. The training thread appends to deques; the
link's thread does the rest.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from . import clock, ending, leaving, points
from .capture import Capture
from .config import Config
from .gathering import CROWDED, Gathering, Nowhere
from .link import Link, Parcel
from .media import MediaCalls
from .orders import Desk
from .plain import plain
from .protocol import ActionSpec, Event, EventKind, LogLine, Order, TunableSpec, VerbSpec
from .tunables import BadValue, Tunable, declare

logger = logging.getLogger("scaleweb")
FAST = points.FAST


class Run(MediaCalls):
    """One training process of a run. Made by `scaleweb_sdk.init`; use it as a context manager or call `finish`.

    code: the run's code, "" until the server has given one. rank, world_size: of this process.
    step: the step that `log` uses when none is given. branch: raised by each roll back or resumption.
    """

    def __init__(self, code: str = "", rank: int = 0, world_size: int = 1) -> None:
        self.code = code
        self.rank, self.world_size = rank, world_size
        self.branch = 0
        self.current_step = 0
        self.config: dict[str, Any] = Config(self)
        self.link: Link | None = None
        self.address = ""
        self.desk = Desk(self)
        self.tunables: dict[str, Tunable] = {}
        self.finished = False
        self._inbox, self._agenda = self.desk.inbox, self.desk.agenda
        self._gathering = Gathering(self)
        # Where the calls leave what they have to say; these lead elsewhere once the run is over.
        self._records, self._events = self._gathering.records, self._gathering.events
        self._stepped_at: float | None = None
        self._capture: Capture | None = None
        self._hashing: list[threading.Thread] = []
        self._watched: str | None = None
        self.newest_watched: float | None = None

    # -- measuring ----------------------------------------------------------------------------------

    def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Record values at a step (the current one when not given). Returns at once; nested maps become "a/b"."""
        try:
            items = tuple(metrics.items())
            for _, value in items:
                if type(value) not in FAST:
                    items = tuple(
                        (key, each if type(each) in FAST else points.freeze(each)) for key, each in items
                    )
                    break
        except Exception:  # noqa: BLE001  no map at all, or one that another thread changes: not worth a training
            self._gathering.complaints.add(
                "metrics", f"log() takes a map of names to numbers; got {points.shown(metrics)}"
            )
            return
        if self._watched is not None and self._watched in metrics:
            self.newest_watched = points.as_number(metrics[self._watched])
        if step is None:
            step = self.current_step
        elif type(step) is not int:
            whole = points.as_step(step)
            step = points.freeze(step) if whole is None else whole
        records = self._records
        records.append((self.branch, (step, time.time(), items)))
        if len(records) > CROWDED:
            self._gathering.crowded()

    def watch(self, key: str) -> None:
        """Keep the newest value that is logged under this key, in `newest_watched`; None before there is one."""
        self._watched, self.newest_watched = key, None

    def step(self, metrics: dict[str, Any] | None = None, step: int | None = None) -> None:
        """Log, and apply what was ordered since the last step. This is the boundary where changes take effect.

        Without `step`, steps count 0, 1, 2…; a paused run waits in here until it is resumed or stopped.
        """
        at = self.current_step if step is None else step
        if self.rank:
            metrics = self._with_step_time(metrics, at)
        if metrics:
            self.log(metrics, at)
        if type(at) is not int:
            whole = points.as_step(at)
            at = self.current_step if whole is None else whole
        self.current_step = at
        if self._inbox or at >= self._agenda.due:
            self.desk.serve(at)
        if step is None:
            self.current_step += 1

    def steps(self, count: int) -> Iterator[int]:
        """0, 1, … count - 1, ending early when the run was asked to stop."""
        for number in range(count):
            if self.should_stop:
                return
            yield number

    @property
    def should_stop(self) -> bool:
        """True once somebody asked the run to stop: leave the loop, save what you need, return."""
        return self.desk.should_stop

    @property
    def rescaling(self) -> bool:
        """True where the stop that was asked for is a move to other devices: skip what belongs to a training's end."""
        return self.desk.leaving

    # -- steering -----------------------------------------------------------------------------------

    def tunable(
        self,
        name: str,
        default: Any,
        low: float | None = None,
        high: float | None = None,
        scale: str = "linear",
        kind: str | None = None,
        choices: list[Any] | None = None,
        role: str = "",
        description: str = "",
        on_change: Callable[[Any], None] | None = None,
        about: dict[str, Any] | None = None,
    ) -> Tunable:
        """Declare a setting that can be changed while the run goes on; `.value` is always the current one.

        Raises BadValue for a declaration that cannot be (low above high, a default out of bounds): that is a
        fault of the script, found at its first line. Declared again in the same words it is the same one, and
        keeps the value that it has. about: facts by name that whoever sets it wants to know.
        """
        spec = declare(name, default, low, high, scale, kind, choices, role, description, about)
        known = self.tunables.get(spec.name)
        if known is not None and known.declared_as(spec) and known.on_change is on_change:
            return known
        tunable = Tunable(spec, on_change, self._report_tunable, lambda: self.current_step)
        self.tunables[name] = tunable
        self._report_tunable(tunable)
        return tunable

    def action(
        self, name: str, description: str = "", **parameters: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: a button in the page that calls the function at the next step boundary.

        parameters: what it is called with, each a default (a number, a bool, text in a list of choices) or a map of
        `default` and what `tunable` takes: low, high, scale, choices, description. Raises BadValue.
        """
        spec = ActionSpec(name, parameters=[parameter_of(key, each) for key, each in parameters.items()])

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            text = description or (function.__doc__ or "").strip().split("\n")[0]
            spec.description = text[:500]
            self.desk.actions[name] = spec, function
            self.event(EventKind.ACTION, msgspec.to_builtins(spec))
            return function

        return register

    def offer(
        self,
        verb: str,
        follow: Callable[[dict[str, Any]], Any],
        description: str = "",
        parameters: list[TunableSpec] | None = None,
    ) -> None:
        """Offer a verb that not every run has (prune, quantise, compile).

        `follow(value)` is called at a boundary with a value for each of the parameters, and gives what is answered.
        """
        spec = VerbSpec(verb, description[:500], list(parameters or []))
        self.desk.offer(spec, follow)
        if self.rank == 0:
            self.event(EventKind.VERB, msgspec.to_builtins(spec))

    def on_checkpoint(self, save: Callable[[], Any]) -> Callable[[], Any]:
        """Offer checkpoints: `save()` is called at a boundary and should end in `checkpointed(...)`.

        In a job that may have other devices, the run can be rescaled from then on.
        """
        self.desk.save = save
        leaving.offer(self, save)
        return save

    def on_rollback(self, restore: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        """Offer roll backs: `restore({"step", "path"})`, which should end in `branched(step, "rollback")`."""
        self.desk.restore = restore
        return restore

    def on_adopt(self, take_over: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        """Offer to go on from another run's checkpoint: `take_over({"run", "step", "path", "sha256"})`.

        It should load weights, verified by the hash, keep its own step and settings, and end in
        `branched(step, "adopt")` with its own step.
        """
        self.desk.take_over = take_over
        return take_over

    @property
    def applied_seq(self) -> int:
        """The last command applied; save it in checkpoints and set it again when resuming from one."""
        return self.desk.applied_seq

    @applied_seq.setter
    def applied_seq(self, seq: int) -> None:
        self.desk.applied_seq = seq

    # -- telling ------------------------------------------------------------------------------------

    def checkpointed(
        self,
        path: str | Path,
        step: int | None = None,
        metrics: dict[str, Any] | None = None,
        reason: str = "",
        size_bytes: int | None = None,
        sha256: str = "",
        pinned: bool = False,
        kept: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Register a checkpoint file. Size and hash are worked out in another thread where not given.

        pinned: no keep rule removes it. kept: {path: rules} of every file that your keep rule holds now, this one
        among them, for the run's page to say.
        """
        at = self.current_step if step is None else step
        data = {
            "path": str(Path(path).absolute()),
            "metrics": {key: points.as_number(value) for key, value in (metrics or {}).items()},
            "reason": reason,
            "branch": self.branch,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "settings": {
                name: plain({"value": tunable.value, "since": tunable.since})
                for name, tunable in self.tunables.items()
            },
        }
        if pinned:
            data["pinned"] = True
        if kept:
            data["kept"] = {str(Path(path).absolute()): list(rules) for path, rules in kept.items()}
        if size_bytes is not None and sha256:
            self.event(EventKind.CHECKPOINT, data, at)
            return
        thread = threading.Thread(target=self._measure_file, args=(data, at), name="scaleweb-hash")
        try:
            thread.start()
        except RuntimeError:  # no thread is to be had, as while the interpreter ends
            self._measure_file(data, at)
        else:
            self._hashing = [each for each in self._hashing if each.is_alive()] + [thread]

    def checkpoint_gone(self, path: str | Path, reason: str = "") -> None:
        """A registered checkpoint no longer exists, or was found broken."""
        self.event(EventKind.CHECKPOINT_GONE, {"path": str(Path(path).absolute()), "reason": reason})

    def branched(self, from_step: int, reason: str = "rollback") -> None:
        """Say that training went back to `from_step`: later points of the old branch fade, none is erased."""
        self.branch += 1
        self.current_step = from_step
        for tunable in self.tunables.values():
            tunable.went_back(from_step)
        if reason != "resume":
            self.desk.went_back(from_step)
        elif self.desk.resumed_step < 0:
            # A loop of the user's own does not tell whether its state was saved before or after that boundary's orders.
            self.desk.resumed(from_step - 1)
        if self.rank == 0:  # what the ranks of one training do together, the first one tells
            self.event(
                EventKind.BRANCH, {"index": self.branch, "from_step": from_step, "reason": reason}, from_step
            )

    def reflex(self, name: str, reason: str, **figures: Any) -> None:
        """Report what the process did by itself, such as skipping a step with a NaN loss."""
        if self.rank and self.desk.agreed is not None:
            return  # the ranks that act together do it alike, and the first one tells
        self.event(EventKind.REFLEX, {"name": name, "reason": plain(reason), **plain(figures)})

    def note(self, message: str) -> None:
        """A remark on the run's record."""
        if self.rank and self.desk.agreed is not None:
            return
        self.event(EventKind.NOTE, {"message": plain(message)})

    def event(self, kind: str, data: dict[str, Any], step: int | None = None) -> None:
        """Send an event to the run's record at once; see protocol.EventKind."""
        at = self.current_step if step is None else step
        self._events.append((self.branch, Event(kind, time.time(), at, data)))
        if self.link is not None:
            self.link.flush()

    # -- ending -------------------------------------------------------------------------------------

    def finish(self, state: str = "", reason: str = "", timeout: float = 10.0) -> bool:
        """End the run: finished, failed or stopped. Waits up to `timeout` seconds for the server.

        True when the server has everything; else the rest stays in the spool for `scaleweb sync`. A second call
        changes nothing, and says how far it is now.
        """
        if self.finished:
            return self.link is None or self.link.complete
        end = time.monotonic() + timeout
        for thread in self._hashing:
            thread.join(max(0.0, end - time.monotonic()))
        if self.media is not None:
            self.media.drain(max(0.0, end - time.monotonic()))
        self.finished = True
        if self._capture is not None:
            self._capture.stop()
        if not state:
            state = "stopped" if self.should_stop else "finished"
            reason = reason or self.desk.stop_reason
        if self.rank == 0:
            self.event(EventKind.FINISH, {"state": state, "reason": plain(reason)})
        self.mute("the run is finished")
        if self.link is None:
            return True
        whole = self.link.close(max(0.1, end - time.monotonic()))
        return (self.media is None or self.media.close(max(0.1, end - time.monotonic()))) and whole

    def mute(self, why: str) -> None:
        """Take nothing more: a run that is over, that is disabled, or the parent's in a forked child. Said once."""
        self.finished = True
        self._records, self._events = Nowhere(why), Nowhere("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ending.leave(self, error)

    def __reduce__(self) -> Any:
        # In another process, as in a spawned loader worker, it is a run that records nothing.
        return muted, (self.code, self.rank, self.world_size)

    def fail(self, error: BaseException, timeout: float = 10.0) -> None:
        """End the run as failed, with the error's last lines on its record."""
        ending.fail(self, error, timeout)

    # -- inside -------------------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        self.link = link

    def forget(self) -> None:
        """In a forked child (a loader worker), where the threads are gone: record nothing, and wait for nothing."""
        self.mute("")
        if self._capture is not None:
            self._capture.stop()
        link, self.link, self.media = self.link, None, None
        if link is not None:
            link.forget()

    def receive(self, orders: list[Order]) -> None:
        """From the link's thread: orders wait for the next step boundary."""
        self.desk.receive(orders)

    def capture(self) -> None:
        self._capture = Capture()
        self._capture.start()

    def printed(self) -> list[LogLine]:
        """From the link's thread: what the script printed since the last call."""
        return self._capture.take() if self._capture is not None else []

    def open_lines(self) -> list[LogLine]:
        """From the link's thread: what the script has printed of lines that are not ended."""
        return self._capture.open() if self._capture is not None else []

    def fill(self) -> list[Parcel]:
        """From the link's thread: everything since the last flush."""
        return self._gathering.fill()

    def _with_step_time(self, metrics: dict[str, Any] | None, at: Any) -> dict[str, Any] | None:
        """With the time since the last step, logged in one call: keys of one call share their times in the store."""
        now = clock.seconds()
        before, self._stepped_at = self._stepped_at, now
        if before is None:
            return metrics
        timed = {f"_step_seconds/rank{self.rank}": now - before}
        if metrics and not isinstance(metrics, dict):
            self.log(metrics, at)
            return timed
        return {**metrics, **timed} if metrics else timed

    def _report_tunable(self, tunable: Tunable, changed_by: str = "") -> None:
        spec = tunable.spec
        data = {name: getattr(spec, name) for name in spec.__struct_fields__}
        if changed_by:
            data["changed_by"] = changed_by
        if self.rank and self.desk.agreed is not None:
            return
        self.event(EventKind.TUNABLE, plain(data))

    def _measure_file(self, data: dict[str, Any], at: int) -> None:
        try:
            with open(data["path"], "rb") as file:
                data["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
                data["size_bytes"] = file.tell()
        except OSError as error:
            self.note(f"checkpoint {data['path']} was not registered: {error}")
            return
        self.event(EventKind.CHECKPOINT, data, at)


def parameter_of(name: str, told: Any) -> TunableSpec:
    """A parameter of an action: a default, a list of choices whose first is the default, or a map with a default."""
    if isinstance(told, dict):
        rest = dict(told)
        if "default" not in rest:
            raise BadValue(f"parameter {name!r} has no default; expected {{'default': …, 'low': …}}")
        return declare(name, rest.pop("default"), **rest)
    if isinstance(told, list | tuple):
        return declare(name, told[0] if told else None, choices=list(told))
    return declare(name, told)


def muted(code: str = "", rank: int = 0, world_size: int = 1) -> Run:
    """A run that takes everything and records nothing."""
    run = Run(code, rank, world_size)
    run.mute("")
    return run


__all__ = ["BadValue", "Run"]
