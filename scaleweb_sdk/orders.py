"""Orders from the server, applied exactly once, in order, at a step boundary, each with an answer."""

import contextlib
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .agenda import Agenda
from .plain import plain
from .protocol import ActionSpec, Event, EventKind, Order, VerbSpec
from .tunables import BadValue, check

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("scaleweb")


class Refused(Exception):
    """An order that this process cannot follow; the message goes back to whoever asked."""


class Agreed(Protocol):
    """All ranks of a training, at one boundary."""

    def refusal(self, message: str) -> str:
        """Each rank says what it refuses for, "" for nothing: the first refusal of any of them, "" for none."""


class Desk:
    """Where orders arrive (link's thread) and are served (training thread)."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.inbox: deque[Order] = deque()
        self.agenda = Agenda()
        # The last order that was applied, or entered in the agenda. Saved in checkpoints.
        self.applied_seq = 0
        self.received_seq = 0
        # The last boundary whose orders are in the state: that this process went on from, and now. Boundaries without
        # orders are left out. Saved in checkpoints too.
        self.resumed_step = self.served_step = -1
        self.should_stop = False
        self.paused = False
        self.actions: dict[str, tuple[ActionSpec, Callable[..., Any]]] = {}
        self.save: Callable[[], Any] | None = None
        self.restore: Callable[[dict[str, Any]], Any] | None = None
        self.take_over: Callable[[dict[str, Any]], Any] | None = None
        self.pin: Callable[[Path, bool], Any] | None = None
        self.stop_reason = ""
        self.leaving = False  # asked to stop in order to go on elsewhere, or with other devices
        # Set where several ranks serve orders together: then only `serve_agreed` does.
        self.agreed: Agreed | None = None
        self.stop_wish = ""  # why this rank alone was asked to stop, by a signal
        # Not an Event: a signal's handler that sets one can find its lock held by the thread it interrupted.
        self._arrived: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._verbs: dict[str, Callable[[Order], tuple[Any, Any]]] = {
            "set": self._set,
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "checkpoint": self._checkpoint,
            "rollback": self._rollback,
            "adopt": self._adopt,
            "action": self._action,
            "pin": self._pin,
            "cancel": lambda _: (None, None),
        }

    def offer(self, spec: VerbSpec, follow: Callable[[dict[str, Any]], Any]) -> None:
        """Take `spec.verb` from now on: `follow(value)` with every parameter in it; what it gives is the answer."""

        def obey(order: Order) -> tuple[Any, Any]:
            return None, follow(parameters_of(spec, order.value))

        self._verbs[spec.verb] = obey

    def resumed(self, served_step: int) -> None:
        """The state that this process goes on from holds the orders of the boundaries up to this one."""
        self.resumed_step = self.served_step = served_step

    def went_back(self, step: int) -> None:
        """The training goes on from `step` again."""
        self.served_step = min(self.served_step, step)

    def receive(self, orders: list[Order]) -> None:
        """Keep orders that are new; the server sends all above the last one it knows as applied, and all that wait."""
        for order in sorted(orders, key=lambda each: each.seq):
            waits = order.at_step is not None and not order.again
            new = (
                order.seq not in self.agenda.known if waits else order.seq > self.received_seq or order.again
            )
            if not new:
                continue
            self.received_seq = max(self.received_seq, order.seq)
            if waits:
                self.agenda.known.add(order.seq)
            self.inbox.append(order)
            self._arrived.put(None)

    def serve(self, step: int) -> None:
        """Apply what is due and all that has arrived; while paused, stay here for more."""
        if self.agreed is not None:
            return  # it serves what it exchanged
        while True:
            self.serve_now(step, self.inbox)
            if not self.paused or self.should_stop:
                return
            self.wait()

    def serve_now(self, step: int, inbox: deque[Order]) -> None:
        """What is due at this boundary, then what is in `inbox`."""
        while (entry := self.agenda.take(step)) is not None:
            self._apply_due(entry.orders, step)
        self.served_step = max(self.served_step, step)
        while inbox:
            orders = self._next(inbox)
            if not orders:
                break  # the rest of a group is still on its way
            self._take(orders, step)

    def _next(self, inbox: deque[Order]) -> list[Order]:
        """The next order, or the next group; empty while a group is not whole."""
        first = inbox[0]
        count = first.group_of if first.group and first.group_of > 1 else 1
        if len(inbox) < count:
            return []
        return [inbox.popleft() for _ in range(count)]

    def _take(self, orders: list[Order], step: int) -> None:
        first = orders[0]
        if first.again:
            self._set_again(first)
        elif first.at_step is not None and self._was_applied(first):
            self._answer_all(orders, step, True, "applied before the restart, as the checkpoint says")
        elif first.at_step is not None and first.at_step > step:
            self.applied_seq = max(self.applied_seq, orders[-1].seq)
            self.agenda.enter(orders)
        elif first.at_step is not None or first.seq > self.applied_seq:
            self._apply(orders, step)
        else:
            # The checkpoint that was resumed from holds its effect, but the process that applied it
            # died before its answer was sent: without one the command would stay open for ever.
            self._answer_all(orders, step, True, "applied before the restart, as the checkpoint says")

    def _was_applied(self, order: Order) -> bool:
        """Whether the state that this process goes on from holds the effect of an order that waited for its step."""
        # An order that the state knows was in the agenda then: once its step had passed, it was applied.
        return order.seq <= self.applied_seq and (order.at_step or 0) <= self.resumed_step

    def _apply_due(self, orders: Sequence[Order], step: int) -> None:
        if orders[0].again:
            for order in orders:
                self._bring_back(order)
        else:
            self._apply(orders, step)

    def wait(self) -> None:
        """For the next order, half a second at most."""
        with contextlib.suppress(queue.Empty):
            self._arrived.get(timeout=0.5)

    def leave(self, reason: str) -> None:
        """Ask the script to leave its loop, to go on in another process: to the site the run does not stop."""
        self.should_stop = self.leaving = True
        self.stop_reason = reason
        self._arrived.put(None)

    def stop(self, reason: str, by_all: bool = False) -> None:
        """Ask the script to leave its loop, as a signal does. by_all: all ranks do so at this boundary."""
        if self.agreed is not None and not by_all:
            # One rank that left alone would leave the others waiting for it in the next exchange of gradients.
            self.stop_wish = self.stop_wish or reason
            self._arrived.put(None)
        elif not self.should_stop:
            self.should_stop = True
            self.stop_reason = reason
            self._arrived.put(None)
            self.run.event(EventKind.STATE, {"state": "stopping", "reason": reason})

    def _apply(self, orders: Sequence[Order], step: int) -> None:
        """Apply one order, or a group: all of it or nothing, answered alike."""
        # Counted before it runs: an order that kills the process is not given to its successor again.
        self.applied_seq = max(self.applied_seq, orders[-1].seq)
        late = orders[0].at_step is not None and orders[0].at_step < step
        message = f"came after step {orders[0].at_step}, so it was applied at the next one" if late else ""
        done: list[tuple[Order, Any, Any]] = []
        why = ""
        for order in orders:
            if order.verb == "set" and order.at_step is None:
                self.agenda.drop_again(order.tunable)
            self.agenda.drop(order.drops)
            try:
                done.append((order, *self._obey(order)))
            except Exception as error:  # noqa: BLE001  a user's handler must not end the training
                why = plain(error) or type(error).__name__
                if len(orders) > 1:
                    why = f"refused as a whole: {order.tunable or order.verb}: {why}"
                break
        if self.agreed is not None:
            # In the same words from each of them, with who it was: whose answer comes first is chance.
            why = self.agreed.refusal(why)
        if why:
            logger.warning("scaleweb: %s was refused: %s", orders[0].verb, why)
            self._put_back([each for each in done if each[0].verb == "set"])
            self._answer_all(orders, step, False, why)
            return
        for order, old, new in done:
            self._answer(order, step, True, message, old, new)

    def _obey(self, order: Order) -> tuple[Any, Any]:
        verb = self._verbs.get(order.verb)
        if verb is None:
            raise Refused(f"this process cannot {order.verb}; it knows {', '.join(self._verbs)}")
        return verb(order)

    def _put_back(self, done: Sequence[tuple[Order, Any, Any]]) -> None:
        """Take back what the first orders of a group did, where a later one was refused."""
        for order, old, _ in reversed(done):
            try:
                self.run.tunables[order.tunable].order(old)
            except Exception as error:  # noqa: BLE001  as above
                self.run.note(f"{order.tunable} could not be put back to {old}: {plain(error)}")

    def _set_again(self, order: Order) -> None:
        """Bring back a setting that was changed after the checkpoint that this process goes on from."""
        if order.at_step is not None:
            # The training comes to that step once more, and the setting changes there once more.
            if order.at_step > self.resumed_step:
                self.agenda.enter([order])
            return
        if order.seq <= self.applied_seq:
            return  # the checkpoint holds it
        self.applied_seq = order.seq
        self._bring_back(order)

    def _bring_back(self, order: Order) -> None:
        wanted = f"{order.tunable} = {order.value} (set by {order.asked_by})"
        try:
            self._set(order)
        except Exception as error:  # noqa: BLE001  a user's handler must not end the training
            message = f"{wanted} could not be set again after the resumption: {plain(error)}"
            logger.warning("scaleweb: %s", message)
        else:
            message = f"{wanted} was set again: the checkpoint is older than that change"
            if self.run.rank == 0:
                self.run._report_tunable(self.run.tunables[order.tunable], order.asked_by)
        if self.run.rank == 0:
            self.run.note(message)

    def _answer_all(self, orders: Sequence[Order], step: int, ok: bool, message: str) -> None:
        for order in orders:
            self._answer(order, step, ok, message)

    def _answer(
        self, order: Order, step: int, ok: bool, message: str, old: Any = None, new: Any = None
    ) -> None:
        data = {
            "seq": order.seq,
            "ok": ok,
            "message": message,
            "old_value": plain(old),
            "new_value": plain(new),
        }
        self.run._events.append((self.run.branch, Event(EventKind.COMMAND, time.time(), step, data)))
        if self.run.link is not None:
            self.run.link.flush()

    def _set(self, order: Order) -> tuple[Any, Any]:
        tunable = self.run.tunables.get(order.tunable)
        if tunable is None:
            known = ", ".join(self.run.tunables) or "none"
            raise Refused(f"{order.tunable!r} is not a tunable of this run; it declared {known}")
        if order.expects is not None and tunable.value != order.expects:
            raise Refused(
                f"{order.tunable} is {tunable.value} by now and not the {order.expects} that this was decided on"
            )
        return tunable.order(order.value)

    def _pause(self, order: Order) -> tuple[Any, Any]:
        if not self.paused:
            self.paused = True
            self.run.event(EventKind.STATE, {"state": "paused", "reason": order.reason})
        return None, None

    def _resume(self, order: Order) -> tuple[Any, Any]:
        if self.paused:
            self.paused = False
            self.run.event(EventKind.STATE, {"state": "running", "reason": order.reason})
        return None, None

    def _stop(self, order: Order) -> tuple[Any, Any]:
        self.stop(order.reason or f"asked by {order.asked_by}", by_all=True)
        return None, None

    def _checkpoint(self, order: Order) -> tuple[Any, Any]:
        if self.save is None:
            raise Refused("this run offers no checkpoints: the script has not called on_checkpoint")
        self.save()
        return None, None

    def _pin(self, order: Order) -> tuple[Any, Any]:
        value = order.value
        if not isinstance(value, dict) or not {"path", "pinned"} <= value.keys():
            raise Refused(f"a pin names a checkpoint with its path; got {value!r:.200}")
        # A script that keeps checkpoints by a rule of its own is not told what to do with its files.
        if self.pin is not None:
            self.pin(Path(str(value["path"])), bool(value["pinned"]))
        return None, {"pinned": bool(value["pinned"])}

    def _rollback(self, order: Order) -> tuple[Any, Any]:
        if self.restore is None:
            raise Refused("this run cannot roll back: the script has not called on_rollback")
        if not isinstance(order.value, dict) or "path" not in order.value:
            raise Refused(f"a roll back names a checkpoint with its path; got {order.value!r}")
        before = self.run.current_step
        self.restore(order.value)
        return before, order.value.get("step")

    def _adopt(self, order: Order) -> tuple[Any, Any]:
        if self.take_over is None:
            raise Refused(
                "this run cannot take over another's checkpoint: the script has not called on_adopt"
            )
        value = order.value
        if not isinstance(value, dict) or not {"run", "step", "path", "sha256"} <= value.keys():
            raise Refused(f"an adoption names a run, a step, a path and its sha256; got {value!r}")
        self.take_over(value)
        return None, {"run": value["run"], "step": value["step"]}

    def _action(self, order: Order) -> tuple[Any, Any]:
        action = self.actions.get(order.tunable)
        if action is None:
            raise Refused(
                f"{order.tunable!r} is not an action of this run; it offers {', '.join(self.actions)}"
            )
        spec, function = action
        return None, function(**parameters_of(spec, order.value)) if spec.parameters else function()


def parameters_of(spec: VerbSpec | ActionSpec, value: Any) -> dict[str, Any]:
    """The value of an order with the defaults of what it leaves out. Raises BadValue, naming what does not fit."""
    named = spec.verb if isinstance(spec, VerbSpec) else spec.name
    known = {parameter.name: parameter for parameter in spec.parameters}
    given = {} if value is None else value
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        raise BadValue(f"{named} takes a map of {', '.join(known) or 'nothing'}; got {value!r:.200}")
    return {name: check(each, given[name]) if name in given else each.value for name, each in known.items()}
