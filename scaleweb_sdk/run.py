"""A run as the training script holds it: log, step, tunables, actions, checkpoints.

Nothing here raises into training or waits for the server. The training thread appends to deques; the
link's thread does the rest.
"""

import hashlib
import logging
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import points, process
from .capture import Capture
from .link import Link, Parcel
from .orders import Desk
from .plain import plain
from .plain import text as legible
from .protocol import ActionSpec, Event, EventKind, Order
from .tunables import BadValue, Tunable, declare

logger = logging.getLogger("scaleweb")
FAST = points.FAST
USAGE_EVERY_SECONDS = 2.0
# Calls of `log` that wait for the link's thread: from the first number on it is woken, beyond the second the oldest
# are thinned. It comes to that only when the thread gets no turn for long.
CROWDED = 20_000
MOST_RECORDS = 300_000
THINNED_AT_ONCE = 2_000


class Run:
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
        self._inbox = self.desk.inbox
        self._records: deque[tuple[int, Any, float, Any]] = deque()  # branch, step, time, items
        self._events: deque[tuple[int, Event]] = deque()
        # What the link's thread empties; the names above lead elsewhere once the run is over.
        self._given_records, self._given_events = self._records, self._events
        self._complaints = points.Complaints()
        self._table = points.Table(self._complaints)
        self._thinned = 0
        self._usage = process.Usage()
        self._usage_at = time.monotonic()
        self._stepped_at: float | None = None
        self._capture: Capture | None = None
        self._hashing: list[threading.Thread] = []

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
            self._complaints.add(
                "metrics", f"log() takes a map of names to numbers; got {points.shown(metrics)}"
            )
            return
        if step is None:
            step = self.current_step
        elif type(step) is not int:
            whole = points.as_step(step)
            step = points.freeze(step) if whole is None else whole
        records = self._records
        records.append((self.branch, step, time.time(), items))
        if len(records) > CROWDED:
            self._crowded()

    def step(self, metrics: dict[str, Any] | None = None, step: int | None = None) -> None:
        """Log, and apply what was ordered since the last step. This is the boundary where changes take effect.

        Without `step`, steps count 0, 1, 2…; a paused run waits in here until it is resumed or stopped.
        """
        at = self.current_step if step is None else step
        if metrics:
            self.log(metrics, at)
        if self.rank:
            self._time_step(at)
        if type(at) is not int:
            whole = points.as_step(at)
            at = self.current_step if whole is None else whole
        self.current_step = at
        if self._inbox:
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
        tunable = Tunable(spec, on_change, self._report_tunable)
        self.tunables[name] = tunable
        self._report_tunable(tunable)
        return tunable

    def action(self, name: str, description: str = "") -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """Decorator: a button in the page that calls the function at the next step boundary."""

        def register(function: Callable[[], Any]) -> Callable[[], Any]:
            text = description or (function.__doc__ or "").strip().split("\n")[0]
            self.desk.actions[name] = function
            self.event(EventKind.ACTION, {"name": ActionSpec(name).name, "description": text[:500]})
            return function

        return register

    def on_checkpoint(self, save: Callable[[], Any]) -> Callable[[], Any]:
        """Offer checkpoints: `save()` is called at a boundary and should end in `checkpointed(...)`."""
        self.desk.save = save
        return save

    def on_rollback(self, restore: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        """Offer roll backs: `restore({"step", "path"})`, which should end in `branched(step, "rollback")`."""
        self.desk.restore = restore
        return restore

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
    ) -> None:
        """Register a checkpoint file. Size and hash are worked out in another thread where not given."""
        at = self.current_step if step is None else step
        data = {
            "path": str(Path(path).absolute()),
            "metrics": {key: points.as_number(value) for key, value in (metrics or {}).items()},
            "reason": reason,
            "branch": self.branch,
            "size_bytes": size_bytes,
            "sha256": sha256,
        }
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
        self.event(
            EventKind.BRANCH, {"index": self.branch, "from_step": from_step, "reason": reason}, from_step
        )

    def reflex(self, name: str, reason: str, **figures: Any) -> None:
        """Report what the process did by itself, such as skipping a step with a NaN loss."""
        self.event(EventKind.REFLEX, {"name": name, "reason": plain(reason), **plain(figures)})

    def note(self, message: str) -> None:
        """A remark on the run's record."""
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
        self.finished = True
        if self._capture is not None:
            self._capture.stop()
        if not state:
            state = "stopped" if self.should_stop else "finished"
        if self.rank == 0:
            self.event(EventKind.FINISH, {"state": state, "reason": plain(reason)})
        self.mute("the run is finished")
        if self.link is None:
            return True
        return self.link.close(max(0.1, end - time.monotonic()))

    def mute(self, why: str) -> None:
        """Take nothing more: a run that is over, that is disabled, or the parent's in a forked child. Said once."""
        self.finished = True
        self._records, self._events = Nowhere(why), Nowhere("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("stopped", "interrupted from the keyboard")
        else:
            self.fail(error)

    def __reduce__(self) -> Any:
        # In another process, as in a spawned loader worker, it is a run that records nothing.
        return muted, (self.code, self.rank, self.world_size)

    def fail(self, error: BaseException, timeout: float = 10.0) -> None:
        """End the run as failed, with the error's last lines on its record."""
        try:
            text = "".join(traceback.format_exception(error))
            message = "".join(traceback.format_exception_only(error)).strip()
        except Exception:  # noqa: BLE001  an error whose text cannot be made is still an error
            text = message = type(error).__name__
        self.event(
            EventKind.ERROR, {"message": legible(message[:2000]), "traceback": legible(text[-10_000:])}
        )
        self.finish("failed", message[:2000], timeout)

    # -- inside -------------------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        self.link = link

    def forget(self) -> None:
        """In a forked child (a loader worker), where the threads are gone: record nothing, and wait for nothing."""
        self.mute("")
        if self._capture is not None:
            self._capture.stop()
        link, self.link = self.link, None
        if link is not None:
            link.forget()

    def receive(self, orders: list[Order]) -> None:
        """From the link's thread: orders wait for the next step boundary."""
        self.desk.receive(orders)

    def capture(self) -> None:
        self._capture = Capture()
        self._capture.start()

    def fill(self) -> list[Parcel]:
        """From the link's thread: everything since the last flush, a parcel for each branch."""
        now = time.monotonic()
        if self.rank == 0 and now - self._usage_at >= USAGE_EVERY_SECONDS and not self.finished:
            self._usage_at = now
            self._given_records.append(
                (self.branch, self.current_step, time.time(), tuple(self._usage.read().items()))
            )
        # Events before points: all that was logged before FINISH then goes up no later than it.
        lines = self._capture.take() if self._capture is not None else []
        events: dict[int, list[Event]] = {}
        for branch, event in drain(self._given_events):
            events.setdefault(branch, []).append(event)
        records: dict[int, list[tuple[Any, float, Any]]] = {}
        for branch, step, at, items in drain(self._given_records):
            records.setdefault(branch, []).append((step, at, items))
        parcels = []
        for branch in sorted(records.keys() | events.keys() | ({self.branch} if lines else set())):
            made = self._table.columns(records.get(branch, []))
            parcels.append(Parcel(branch, made, lines, events.get(branch, [])))
            lines = []
        if self._thinned:
            self._complaints.add(
                "thinned",
                "log() was called faster than its points could be taken: of the oldest that waited, every second "
                "was left out",
            )
        for message in self._complaints.take():
            logger.warning("scaleweb: %s", message)
            note = Event(EventKind.NOTE, time.time(), None, {"message": message})
            # Before the events of the last parcel, of which FINISH is to stay the last.
            last = parcels.pop() if parcels else Parcel(self.branch)
            parcels.append(last._replace(events=[note, *last.events]))
        return parcels

    def _crowded(self) -> None:
        if self.link is not None:
            self.link.flush()
        waiting = self._records
        if self.link is None or len(waiting) <= MOST_RECORDS:
            return
        try:
            oldest = [waiting.popleft() for _ in range(THINNED_AT_ONCE)]
        except IndexError:  # the link's thread took them meanwhile
            return
        kept = oldest[1::2]
        waiting.extendleft(reversed(kept))
        self._thinned += len(oldest) - len(kept)

    def _time_step(self, at: int) -> None:
        now = time.perf_counter()
        if self._stepped_at is not None:
            self._records.append(
                (self.branch, at, time.time(), ((f"_step_seconds/rank{self.rank}", now - self._stepped_at),))
            )
        self._stepped_at = now

    def _report_tunable(self, tunable: Tunable, changed_by: str = "") -> None:
        spec = tunable.spec
        data = {name: getattr(spec, name) for name in spec.__struct_fields__}
        if changed_by:
            data["changed_by"] = changed_by
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


class Config(dict[str, Any]):
    """The run's configuration; `update` and assignment send what is new."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, *args: Any, **kwargs: Any) -> None:
        new = dict(*args, **kwargs)
        super().update(new)
        if new:
            self._run.event(EventKind.CONFIG, {"config": plain(new)})

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __reduce__(self) -> Any:
        # A checkpoint that holds it loads without the run, and with weights_only, which takes no plain `dict` here.
        return OrderedDict, (), None, None, iter(self.items())


class Nowhere(deque[Any]):
    """Takes what comes too late. why: said once, for what a script might not expect."""

    def __init__(self, why: str) -> None:
        super().__init__((), 0)
        self._why = why

    def append(self, item: Any) -> None:
        if self._why:
            logger.warning("scaleweb: what is logged now is not recorded: %s", self._why)
            self._why = ""


def muted(code: str = "", rank: int = 0, world_size: int = 1) -> Run:
    """A run that takes everything and records nothing."""
    run = Run(code, rank, world_size)
    run.mute("")
    return run


def drain(queue: deque[Any]) -> Iterator[Any]:
    """What is in the queue now; another thread may append or take meanwhile."""
    for _ in range(len(queue)):
        try:
            yield queue.popleft()
        except IndexError:
            return


__all__ = ["BadValue", "Run"]
