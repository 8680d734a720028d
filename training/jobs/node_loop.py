"""A node's own round, once a second: register, look after attempts, keep their leases, end what was given up.

It runs in a thread of the node's Celery worker and owns nothing that its death would take along: training
processes and their supervisors are found again by their files.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.db.models.functions import Now
from django.utils import timezone

from monitoring import nodes
from monitoring.claims import check_name
from monitoring.hardware import nvml
from monitoring.hardware.inventory import inventory
from monitoring.models import Node
from training.models import Attempt
from training.states import RunState

from . import attempts, launch, looking, passing_over, yielding
from .agent import AgentKeeper
from .farewell import last_word
from .given_up import GivenUp
from .local import Local, Status
from .one_worker import OneWorker
from .parts import Parts
from .power import PowerKeeper
from .spec import folder_of
from .stopping import Stops
from .tidying import Tidying

logger = logging.getLogger(__name__)
LOOK_EVERY_SECONDS = 1.0
SEEN_EVERY_SECONDS = 3.0
HAND_IN_EVERY_SECONDS = 15.0
# A script that has not spoken over the link by now may well do without the SDK: it runs all the same.
SPEAKS_WITHIN_SECONDS = 20.0
Outcome = Attempt.Outcome


@dataclass
class NodeLoop:
    """`start` is called by the worker's task, `close` at its end; everything else happens in `run`."""

    name: str
    agent: AgentKeeper | None = None
    closing: threading.Event = field(default_factory=threading.Event)
    nudge: threading.Event = field(default_factory=threading.Event)
    stops: Stops = field(default_factory=Stops)
    launching: set[int] = field(default_factory=set)
    seen_at: float = float("-inf")
    handed_in_at: float = float("-inf")
    node: Node | None = None
    # Another worker is online under this name: the jobs and the state of the node are that one's.
    taken: bool = False
    tidying: Tidying = field(default_factory=Tidying)
    given_up: GivenUp = field(default_factory=GivenUp)
    parts: Parts = field(init=False)
    power: PowerKeeper = field(init=False)
    driver: Callable[[], Any] = nvml.load
    one: OneWorker = field(init=False)
    # One starter or looker at a time: the task's thread and the loop's must not see each other's halves.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.parts = Parts(self.name, self.closing, lambda: self.driver())
        self.home = Path(settings.HOME)
        own = self.home / "agent" / self.name
        self.power = PowerKeeper(own / "power.json")
        self.one = OneWorker(self.name, own)

    def run(self) -> None:
        """Look, until closed. A database or disk that is away for a while costs a look, not the loop."""
        while not self.closing.is_set():
            try:
                close_old_connections()
                self.look()
            except (DatabaseError, OSError) as error:
                logger.warning("node %s: a look failed, the next is in a second: %s", self.name, error)
            except nodes.BadInventory as error:
                logger.error("node %s runs nothing yet: %s", self.name, error)
            except Exception:
                # A worker whose loop had ended would look alive and let every lease of its node run out.
                logger.exception("node %s: a look failed, the next is in a second", self.name)
            self.nudge.wait(LOOK_EVERY_SECONDS)
            self.nudge.clear()
        connections.close_all()

    def look(self) -> None:
        node = self.held()
        if time.monotonic() - self.seen_at > SEEN_EVERY_SECONDS:
            self.seen_at = time.monotonic()
            nodes.seen(self.name)
        if self.agent is not None:
            self.agent.keep(node)
        with self.lock:
            mine = attempts.node_attempts(node)
            alive = [attempt.pk for attempt in mine if self.lives(attempt)]
            attempts.renew(alive)
            self.stops.forget({folder_of(attempt) for attempt in mine if attempt.pk in set(alive)})
            parts = self.parts.look(node)
            self.limit_power(mine)
            self.end_strangers({(attempt.pk, 0) for attempt in mine} | parts)
            self.given_up.look(node, {attempt.pk for attempt in mine})
            self.hand_in_late()
        self.tidying.keep()

    def limit_power(self, mine: list[Attempt]) -> None:
        try:
            self.power.keep(attempt for attempt in mine if attempt.ended_at is None)
        except Exception:
            # The driver's faults are not the trainings'.
            logger.exception("node %s: its GPUs' power limits could not be looked after", self.name)

    def held(self) -> Node:
        """The node that this worker is. Raises NameTaken while another worker is it.

        Asked at each look: a host that was away for a while does not know what came meanwhile, and would end the jobs
        that another has started.
        """
        if self.node is not None and not nodes.still_is(self.node):
            self.node = None
        try:
            node = self.node or self.register()
        except nodes.NameTaken:
            self.taken = True
            self.stand_aside()
            raise
        self.taken = False
        return node

    def stand_aside(self) -> None:
        """End what this worker had started and lost since; say nothing of the node any more."""
        if self.agent is not None:
            self.agent.close()
        if not self.one.held:
            return  # what lives in this folder is looked after by the worker that holds it
        for local in Local.all_living():
            attempt = local.attempt()
            if attempt is None or (attempt.ended_at is not None and not at_its_last_lines(attempt, local)):
                logger.warning(
                    "%s was given up, and its node is another's: its process is ended", local.folder
                )
                local.give_up(settings.STOP_GRACE_SECONDS)

    def register(self) -> Node:
        check_name(self.name)
        self.one.hold()
        system, devices = inventory(slots=settings.CPU_SLOTS, home=self.home)
        self.node = nodes.register(self.name, system, devices, anew=True)
        passing_over.forget(self.node.pk)
        return self.node

    def start(self, pk: int) -> bool:
        """Start an attempt of this node now, if nobody has.

        A worker that is not the node yet may have taken the task from another host that is: that one finds what was
        not started at its next look.
        """
        if self.node is None or not nodes.still_is(self.node):
            return False
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
        # In a thread of its own: a checkpoint of many gigabytes is read and hashed before it is resumed from,
        # which takes longer than the leases of everything else on this node would last.
        self.launching.add(attempt.pk)
        threading.Thread(
            target=self.launch, args=(attempt,), name=f"launch-{attempt.job.code}", daemon=True
        ).start()
        return True

    def launch(self, attempt: Attempt) -> None:
        try:
            if attempt.members.all():
                attempt.master_address = launch.own_address()
                attempt.master_port = launch.free_port(attempt.master_address)
            looking.look_for(launch.devices_here(attempt, None), self.driver)
            Local(folder_of(attempt)).launch(attempt, unless=self.closing.is_set)
            if attempt.master_port is not None:
                # Last: the other nodes begin once they know it, and what it goes on from is known by then.
                Attempt.objects.filter(pk=attempt.pk).update(
                    master_address=attempt.master_address, master_port=attempt.master_port
                )
        except DatabaseError as error:
            logger.warning("%s was not started, the database is away: %s", attempt, error)
        except looking.NotThere as error:
            # No fault of the job's: it goes to another device, which this one is not any more.
            attempts.end(attempt.pk, Outcome.FAILED, str(error), first_error_line=str(error), again=True)
        except Exception as error:  # noqa: BLE001  unseen in this thread, it would be queued again without end
            attempts.end(attempt.pk, Outcome.FAILED, f"cannot start: {error}", first_error_line=str(error))
        finally:
            connections.close_all()
            self.launching.discard(attempt.pk)
            self.nudge.set()

    def lives(self, attempt: Attempt) -> bool:
        try:
            return self.look_after(attempt)
        except (DatabaseError, OSError):
            raise
        except Exception:
            # An attempt whose folder is damaged loses its own lease, and no other's.
            logger.exception("%s cannot be looked after", attempt)
            return False

    def look_after(self, attempt: Attempt) -> bool:
        """Bring one attempt up to date. True while it lives."""
        if attempt.pk in self.launching:
            return True
        if attempt.state == Attempt.State.ASSIGNED:
            return self.begin(attempt)
        local = Local(folder_of(attempt))
        status = local.status()
        if status is Status.ABSENT:
            # Stopped before it was started, or its worker ended in between: that is not the job's fault.
            again = True if attempt.pid is None and attempt.state != Attempt.State.STOPPING else None
            attempts.end(
                attempt.pk, Outcome.LOST, "nothing of it is on this node: it was not started", again=again
            )
            return False
        if status is Status.GONE and local.supervise_the_end():
            return True
        if status in {Status.ENDED, Status.GONE} and awaits_the_others(attempt, local):
            return True
        if status is Status.ENDED:
            self.ended(attempt, local)
            return False
        if status is Status.GONE:
            word = last_word(attempt)
            reason = "its process and its supervisor are gone, and left no exit code"
            attempts.end(attempt.pk, word or Outcome.LOST, reason, leaving=local.leaving())
            return False
        if status is Status.ORPHANED:
            local.supervise()
        training = local.training()
        if training is not None and attempt.pid != training.pid:
            Attempt.objects.filter(pk=attempt.pk).update(pid=training.pid)
        if attempt.state == Attempt.State.STOPPING:
            self.stops.press(attempt, local)
        elif attempt.preempt_asked_at is not None:
            yielding.press(attempt, local)
        elif (left := local.left_seconds_ago()) is not None and left > settings.STOP_GRACE_SECONDS:
            # It has saved and said that it leaves, and is still here: its script has more to do than it should.
            local.terminate_then_kill(settings.STOP_GRACE_SECONDS)
        elif training is not None:
            self.count_as_running(attempt)
        return True

    def count_as_running(self, attempt: Attempt) -> None:
        """Move on a run whose process lives, but never says so over the link."""
        started = attempt.started_at
        waited = started is not None and timezone.now() - started > timedelta(seconds=SPEAKS_WITHIN_SECONDS)
        if waited and attempt.job.run.state == RunState.STARTING:
            attempts.bring(
                attempt.job.run, RunState.RUNNING, "its process runs, and has not used the SDK yet"
            )

    def ended(self, attempt: Attempt, local: Local) -> None:
        exit = local.exit()
        code, signal = exit.get("exit_code"), str(exit.get("signal") or "")
        if code is None:
            # An adopted process: nobody could wait for it. What the script said counts.
            outcome = last_word(attempt) or Outcome.LOST
            reason = "it ended while no supervisor watched, so its exit code is unknown"
        else:
            outcome = Outcome.FINISHED if code == 0 else Outcome.FAILED
            reason = local.how_it_ended()
        attempts.end(
            attempt.pk,
            outcome,
            reason,
            exit_code=code,
            signal=signal,
            first_error_line=str(exit.get("first_error_line") or ""),
            # A command that does not exist will not exist at the next try.
            again=False if exit.get("never_started") else None,
            leaving=local.leaving(),
        )

    def end_strangers(self, mine: set[tuple[int, int]]) -> None:
        """End processes of this node whose attempt was given up while they lived, or take the attempt back.

        mine: (attempt, node rank) of what this node looks after.
        """
        for local in Local.all_living():
            attempt = local.attempt()
            if attempt is None:
                logger.warning("%s belongs to no attempt any more: its process is ended", local.folder)
                local.kill()
            elif (
                (attempt.pk, local.node_rank) in mine
                or node_of(attempt, local.node_rank) != self.name
                or at_its_last_lines(attempt, local)
            ):
                continue
            elif local.node_rank or not attempts.take_back(attempt):
                if attempt.outcome != Outcome.FINISHED or not local.node_rank:
                    logger.warning("%s was given up (%s): its process is ended", attempt, attempt.outcome)
                local.give_up(settings.STOP_GRACE_SECONDS)

    def hand_in_late(self) -> None:
        """Send what attempts that are over could not: the server was away at their end. One at a time."""
        now = time.monotonic()
        if now - self.handed_in_at >= HAND_IN_EVERY_SECONDS:
            self.handed_in_at = now
            for local in Local.all_unsent()[:1]:
                logger.info("%s holds what the server has not got yet: it is sent", local.folder)
                local.hand_in()

    def close(self, stop_jobs: bool = False, seconds: float = 15.0) -> None:
        """End the loop. stop_jobs: end what runs too, to be resumed at the next start of the site."""
        self.closing.set()
        self.nudge.set()
        # Nothing new comes to a node that says it is away; its agent would say the opposite.
        if self.agent is not None:
            self.agent.close()
        if not self.taken and (self.node is None or nodes.still_is(self.node)):
            nodes.leave(self.name)
            if stop_jobs:
                self.interrupt(seconds)
        self.one.let_go()

    def interrupt(self, seconds: float) -> None:
        """End what runs on this node, and queue it again: it goes on from its checkpoints at the next start."""
        self.closing.set()
        self.node = self.node or Node.objects.filter(name=self.name).first()
        if self.node is None:
            return
        with self.lock:
            mine = [attempt for attempt in attempts.node_attempts(self.node) if self.lives(attempt)]
            self.parts.terminate(self.node)
            locals_ = {attempt.pk: Local(folder_of(attempt)) for attempt in mine}
            for local in locals_.values():
                local.terminate()
            end = time.monotonic() + seconds
            left = {pk for pk, local in locals_.items() if local.status().living}
            while left and time.monotonic() < end:
                attempts.renew(left)  # else the reaper calls them lost while they save their last checkpoint
                time.sleep(0.1)
                left = {pk for pk in left if locals_[pk].status().living}
            for pk in left:
                locals_[pk].kill()
            for attempt in mine:
                self.interrupted(attempt, locals_[attempt.pk])
            self.limit_power([])

    def interrupted(self, attempt: Attempt, local: Local) -> None:
        exit = local.exit()
        code, signal = exit.get("exit_code"), str(exit.get("signal") or "")
        if code == 0 and last_word(attempt) == Outcome.FINISHED:
            self.ended(attempt, local)  # it came to its own end just then
            return
        attempts.end(
            attempt.pk, Outcome.STOPPED, "the site was shut down; it goes on at the next start",
            exit_code=code, signal=signal, again=attempt.state != Attempt.State.STOPPING,
        )  # fmt: skip


def node_of(attempt: Attempt, node_rank: int) -> str:
    """The name of the node that has this part of an attempt; "" when there is no such part."""
    if node_rank == 0:
        return attempt.node.name
    names = attempt.members.filter(node_rank=node_rank).values_list("node__name", flat=True)
    return next(iter(names), "")


def at_its_last_lines(attempt: Attempt, local: Local) -> bool:
    """Whether nothing of an attempt that has finished, by its own word, is left but its supervisor."""
    return attempt.outcome == Outcome.FINISHED and not local.node_rank and not local.at_work


def awaits_the_others(attempt: Attempt, local: Local) -> bool:
    """Whether an attempt of several nodes, whose part here is over, is not over itself.

    Where it stops or leaves, its devices are free once all parts have ended: each node's worker presses its own, and
    the lease of one whose worker is gone runs out. Where a node dies, the ranks on the others fail at once, by a
    connection that broke: for as long as a lease lasts the other node may still say why, or be found to be gone, which
    is not the job's fault.
    """
    exit = local.exit()
    open_parts = [part for part in attempt.members.all() if part.state != Attempt.State.ENDED]
    if not open_parts:
        return False
    leaves = local.leaving() is not None
    if leaves and attempt.left_at is None:
        Attempt.objects.filter(pk=attempt.pk).update(left_at=Now())
    if leaves or attempt.on_its_way_out:
        return True
    if exit.get("exit_code") == 0 or exit.get("never_started"):
        return False  # nothing there has more to say
    since = time.time() - float(exit.get("ended_at") or 0.0)
    return since < settings.LEASE_SECONDS + 2 * LOOK_EVERY_SECONDS
