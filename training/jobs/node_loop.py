"""A node's own round, once a second: register, look after attempts, keep their leases, end what was given up.

It runs in a thread of the node's Celery worker and owns nothing that its death would take along: training
processes and their supervisors are found again by their files.
"""

import logging
import threading
import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from monitoring import nodes
from monitoring.hardware.inventory import inventory
from monitoring.models import Node
from training.models import Attempt

from . import attempts
from .agent import AgentKeeper
from .local import Local, Status
from .spec import folder_of

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 1.0
SEEN_EVERY_SECONDS = 3.0
Outcome = Attempt.Outcome


@dataclass
class Stopping:
    """An attempt on its way out: asked at `since`, signalled at `signalled`."""

    since: float
    signalled: float | None = None


@dataclass
class NodeLoop:
    """`start` is called by the worker's task, `close` at its end; everything else happens in `run`."""

    name: str
    agent: AgentKeeper | None = None
    closing: threading.Event = field(default_factory=threading.Event)
    nudge: threading.Event = field(default_factory=threading.Event)
    stopping: dict[int, Stopping] = field(default_factory=dict)
    seen_at: float = float("-inf")
    node: Node | None = None
    # One starter or looker at a time: the task's thread and the loop's must not see each other's halves.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Look, until closed. A database or disk that is away for a while costs a look, not the loop."""
        while not self.closing.is_set():
            try:
                close_old_connections()
                self.look()
            except (DatabaseError, OSError) as error:
                logger.warning("node %s: a look failed, the next is in a second: %s", self.name, error)
            self.nudge.wait(LOOK_EVERY_SECONDS)
            self.nudge.clear()
        connections.close_all()

    def look(self) -> None:
        node = self.node or self.register()
        if time.monotonic() - self.seen_at > SEEN_EVERY_SECONDS:
            self.seen_at = time.monotonic()
            nodes.seen(self.name)
        if self.agent is not None:
            self.agent.keep(node)
        with self.lock:
            mine = attempts.node_attempts(node)
            alive = [attempt.pk for attempt in mine if self.look_after(attempt)]
            attempts.renew(alive)
            self.stopping = {pk: stop for pk, stop in self.stopping.items() if pk in set(alive)}
            self.end_strangers({attempt.pk for attempt in mine})

    def register(self) -> Node:
        system, devices = inventory(slots=settings.CPU_SLOTS)
        self.node = nodes.register(self.name, system, devices)
        return self.node

    def start(self, pk: int) -> bool:
        """Start an attempt of this node now, if nobody has."""
        attempt = (
            Attempt.objects.select_related("job__run__experiment__project", "node")
            .prefetch_related("devices")
            .filter(pk=pk, node__name=self.name, ended_at=None)
            .first()
        )
        if attempt is None or self.closing.is_set():
            return False
        with self.lock:
            return self.begin(attempt)

    def begin(self, attempt: Attempt) -> bool:
        if not attempts.claim(attempt):
            return False
        try:
            Local(folder_of(attempt)).launch(attempt)
        except OSError as error:
            attempts.end(attempt.pk, Outcome.FAILED, f"cannot start: {error}", first_error_line=str(error))
            return False
        return True

    def look_after(self, attempt: Attempt) -> bool:
        """Bring one attempt up to date. True while it lives."""
        if attempt.state == Attempt.State.ASSIGNED:
            return self.begin(attempt)
        local = Local(folder_of(attempt))
        status = local.status()
        if status is Status.ENDED:
            self.ended(attempt, local)
            return False
        if status is Status.GONE:
            word = attempts.last_word_of(attempt)
            reason = "its process and its supervisor are gone, and left no exit code"
            attempts.end(attempt.pk, word or Outcome.LOST, reason)
            return False
        if status is Status.ORPHANED:
            local.supervise()
        training = local.training()
        if training is not None and attempt.pid != training.pid:
            Attempt.objects.filter(pk=attempt.pk).update(pid=training.pid)
        if attempt.state == Attempt.State.STOPPING:
            self.press(attempt, local)
        return True

    def ended(self, attempt: Attempt, local: Local) -> None:
        exit = local.exit()
        code, signal = exit.get("exit_code"), str(exit.get("signal") or "")
        if code is None:
            # An adopted process: nobody could wait for it. What the script said counts.
            outcome = attempts.last_word_of(attempt) or Outcome.LOST
            reason = "it ended while no supervisor watched, so its exit code is unknown"
        else:
            outcome = Outcome.FINISHED if code == 0 else Outcome.FAILED
            reason = f"killed by {signal}" if signal else f"exit code {code}"
        attempts.end(
            attempt.pk,
            outcome,
            reason,
            exit_code=code,
            signal=signal,
            first_error_line=str(exit.get("first_error_line") or ""),
            # A command that does not exist will not exist at the next try.
            again=False if exit.get("never_started") else None,
        )

    def press(self, attempt: Attempt, local: Local) -> None:
        """A stop: first the command over the link, then SIGTERM, then SIGKILL, a grace between each two."""
        now = time.monotonic()
        stop = self.stopping.setdefault(attempt.pk, Stopping(now))
        listens = bool(attempt.job.run.process)  # it has spoken over the link
        grace = settings.STOP_GRACE_SECONDS if listens else 0.0
        if stop.signalled is None and now - stop.since >= grace:
            stop.signalled = now
            local.terminate()
        elif stop.signalled is not None and now - stop.signalled >= settings.STOP_GRACE_SECONDS:
            local.kill()

    def end_strangers(self, mine: set[int]) -> None:
        """End processes of this node whose attempt was given up while they lived, or take the attempt back."""
        for local in Local.all_living():
            attempt = local.attempt()
            if attempt is None:
                logger.warning("%s belongs to no attempt any more: its process is ended", local.folder)
                local.kill()
            elif (
                attempt.pk not in mine and attempt.node.name == self.name and not attempts.take_back(attempt)
            ):
                logger.warning("%s was given up (%s): its process is ended", attempt, attempt.outcome)
                local.terminate_then_kill(settings.STOP_GRACE_SECONDS)

    def close(self, stop_jobs: bool = False, seconds: float = 15.0) -> None:
        """End the loop. stop_jobs: end what runs too, to be resumed at the next start of the site."""
        self.closing.set()
        self.nudge.set()
        # Nothing new comes to a node that says it is away; its agent would say the opposite.
        if self.agent is not None:
            self.agent.close()
        nodes.leave(self.name)
        if stop_jobs and self.node is not None:
            self.interrupt(seconds)

    def interrupt(self, seconds: float) -> None:
        assert self.node is not None
        with self.lock:
            mine = [attempt for attempt in attempts.node_attempts(self.node) if self.look_after(attempt)]
            locals_ = {attempt.pk: Local(folder_of(attempt)) for attempt in mine}
            for local in locals_.values():
                local.terminate()
            end = time.monotonic() + seconds
            left = dict(locals_)
            while left and time.monotonic() < end:
                left = {pk: local for pk, local in left.items() if local.status().living}
                time.sleep(0.1)
            for local in left.values():
                local.kill()
            for attempt in mine:
                exit = locals_[attempt.pk].exit()
                attempts.end(
                    attempt.pk, Outcome.STOPPED, "the site was shut down; it goes on at the next start",
                    exit_code=exit.get("exit_code"), signal=str(exit.get("signal") or ""),
                    again=attempt.state != Attempt.State.STOPPING,
                )  # fmt: skip
