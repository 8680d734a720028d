"""Orders from the server, applied exactly once, in order, at a step boundary, each with an answer."""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .plain import plain
from .protocol import Event, EventKind, Order, VerbSpec
from .tunables import BadValue, check

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("scaleweb")


class Refused(Exception):
    """An order that this process cannot follow; the message goes back to whoever asked."""


class Desk:
    """Where orders arrive (link's thread) and are served (training thread)."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.inbox: deque[Order] = deque()
        self.applied_seq = 0
        self.received_seq = 0
        self.should_stop = False
        self.paused = False
        self.actions: dict[str, Callable[[], Any]] = {}
        self.save: Callable[[], Any] | None = None
        self.restore: Callable[[dict[str, Any]], Any] | None = None
        self.take_over: Callable[[dict[str, Any]], Any] | None = None
        self.stop_reason = ""
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
        }

    def offer(self, spec: VerbSpec, follow: Callable[[dict[str, Any]], Any]) -> None:
        """Take `spec.verb` from now on: `follow(value)` with every parameter in it; what it gives is the answer."""

        def obey(order: Order) -> tuple[Any, Any]:
            return None, follow(parameters_of(spec, order.value))

        self._verbs[spec.verb] = obey

    def receive(self, orders: list[Order]) -> None:
        """Keep orders that are new; the server sends all above the last one it knows as applied."""
        for order in sorted(orders, key=lambda each: each.seq):
            if order.seq > self.received_seq:
                self.received_seq = order.seq
                self.inbox.append(order)
                self._arrived.put(None)

    def serve(self, step: int) -> None:
        """Apply all that has arrived; while paused, stay here for more."""
        while True:
            while self.inbox:
                order = self.inbox.popleft()
                if order.again:
                    self._set_again(order)
                elif order.seq > self.applied_seq:
                    self._apply(order, step)
                else:
                    # The checkpoint that was resumed from holds its effect, but the process that applied it
                    # died before its answer was sent: without one the command would stay open for ever.
                    self._answer(order, step, True, "applied before the restart, as the checkpoint says")
            if not self.paused or self.should_stop:
                return
            try:
                self._arrived.get(timeout=0.5)
            except queue.Empty:
                continue

    def stop(self, reason: str) -> None:
        """Ask the script to leave its loop, as a signal does."""
        if not self.should_stop:
            self.should_stop = True
            self.stop_reason = reason
            self._arrived.put(None)
            self.run.event(EventKind.STATE, {"state": "stopping", "reason": reason})

    def _apply(self, order: Order, step: int) -> None:
        ok, message, old, new = True, "", None, None
        # Counted before it runs: an order that kills the process is not given to its successor again.
        self.applied_seq = order.seq
        try:
            verb = self._verbs.get(order.verb)
            if verb is None:
                raise Refused(f"this process cannot {order.verb}; it knows {', '.join(self._verbs)}")
            old, new = verb(order)
        except Exception as error:  # noqa: BLE001  a user's handler must not end the training
            ok, message = False, plain(error) or type(error).__name__
            logger.warning("scaleweb: %s was refused: %s", order.verb, message)
        self._answer(order, step, ok, message, old, new)

    def _set_again(self, order: Order) -> None:
        """Bring back a setting that was changed after the checkpoint that this process goes on from."""
        if order.seq <= self.applied_seq:
            return  # the checkpoint holds it
        self.applied_seq = order.seq
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
        self.stop(order.reason or f"asked by {order.asked_by}")
        return None, None

    def _checkpoint(self, order: Order) -> tuple[Any, Any]:
        if self.save is None:
            raise Refused("this run offers no checkpoints: the script has not called on_checkpoint")
        self.save()
        return None, None

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
        return None, action()


def parameters_of(spec: VerbSpec, value: Any) -> dict[str, Any]:
    """The value of an order with the defaults of what it leaves out. Raises BadValue, naming what does not fit."""
    known = {parameter.name: parameter for parameter in spec.parameters}
    given = {} if value is None else value
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        raise BadValue(f"{spec.verb} takes a map of {', '.join(known) or 'nothing'}; got {value!r:.200}")
    return {name: check(each, given[name]) if name in given else each.value for name, each in known.items()}
