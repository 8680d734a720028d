"""A node's part in attempts of several nodes whose first node is another one: begun, looked after, pressed, ended."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connections

from monitoring.models import Node
from training.models import Attempt, Member

from . import attempts, launch, looking, yielding
from .local import Local, Status
from .spec import folder_of
from .stopping import Stops

logger = logging.getLogger(__name__)
Outcome = Attempt.Outcome


class Parts:
    """`look` is called at each look of the node's loop, under its lock. One part that fails ends the attempt."""

    def __init__(self, name: str, closing: threading.Event, driver: Callable[[], Any]) -> None:
        self.name = name
        self.closing = closing
        self.driver = driver
        self.launching: set[int] = set()
        self.stops = Stops()

    def look(self, node: Node) -> set[tuple[int, int]]:
        """Bring all parts of this node up to date; (attempt, node rank) of those that go on."""
        alive = []
        for member in attempts.node_members(node):
            try:
                if self.look_after(member):
                    alive.append(member)
            except (DatabaseError, OSError):
                raise
            except Exception:
                logger.exception("%s cannot be looked after", member)
        attempts.renew_members(member.pk for member in alive)
        self.stops.forget({folder_of(member.attempt, member) for member in alive})
        return {(member.attempt_id, member.node_rank) for member in alive}

    def look_after(self, member: Member) -> bool:
        attempt = member.attempt
        if member.pk in self.launching:
            return True
        if member.state == Attempt.State.ASSIGNED and attempt.on_its_way_out:
            attempts.end_member(member, None)
            return False
        if member.state == Attempt.State.ASSIGNED:
            # Not before the first node's worker has told where to meet.
            if attempt.master_port is not None and attempt.state == Attempt.State.RUNNING:
                self.begin(member)
            return True
        local = Local(folder_of(attempt, member))
        status = local.status()
        if status in {Status.ABSENT, Status.GONE}:
            if attempt.on_its_way_out:
                attempts.end_member(member, None)
                return False
            attempts.end(attempt.pk, Outcome.LOST, f"nothing of its part on {self.name} is there any more")
            return False
        if status is Status.ENDED:
            self.ended(member, local)
            return False
        if status is Status.ORPHANED:
            local.supervise()
        if attempt.state == Attempt.State.STOPPING:
            self.stops.press(attempt, local)
        elif attempt.left_at is not None:
            self.stops.follow(local)
        elif attempt.preempt_asked_at is not None:
            yielding.press(attempt, local)
        return True

    def begin(self, member: Member) -> None:
        if self.closing.is_set() or not attempts.claim_member(member):
            return
        self.launching.add(member.pk)
        threading.Thread(target=self.launch, args=(member,), name=f"launch-{member.pk}", daemon=True).start()

    def launch(self, member: Member) -> None:
        attempt = member.attempt
        try:
            looking.look_for(launch.devices_here(attempt, member), self.driver)
            Local(folder_of(attempt, member)).launch(attempt, self.closing.is_set, member)
        except DatabaseError as error:
            logger.warning("%s was not started, the database is away: %s", member, error)
        except looking.NotThere as error:
            attempts.end(attempt.pk, Outcome.FAILED, str(error), first_error_line=str(error), again=True)
        except Exception as error:  # noqa: BLE001  unseen in this thread, the others would wait for it
            attempts.end(attempt.pk, Outcome.FAILED, f"cannot start: {error}", first_error_line=str(error))
        finally:
            connections.close_all()
            self.launching.discard(member.pk)

    def ended(self, member: Member, local: Local) -> None:
        exit = local.exit()
        code = exit.get("exit_code")
        attempts.end_member(member, code)
        if code == 0 or member.attempt.on_its_way_out:
            return  # the first node's end is the attempt's
        # The first node's ranks fail too, a moment later, and say less of the reason.
        attempts.end(
            member.attempt_id,
            Outcome.FAILED if code is not None else Outcome.LOST,
            f"its part on {self.name} has ended: {local.how_it_ended()}",
            exit_code=code,
            signal=str(exit.get("signal") or ""),
            first_error_line=str(exit.get("first_error_line") or ""),
            again=False if exit.get("never_started") else None,
        )

    def terminate(self, node: Node) -> None:
        for member in attempts.node_members(node):
            Local(folder_of(member.attempt, member)).terminate()
