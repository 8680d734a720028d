"""Somebody else's policy gets so much time for an answer, and no more.

The control worker's tasks run in threads, where signals (`setitimer`) never arrive. So each plug-in is asked in a
thread of its own: when its time is over, an exception is raised inside that thread, which ends any loop of Python
code. Code that waits in C (a lock, a sleep, a large computation) sees the exception only when it comes back; until
then the tick goes on without it and does not ask that policy again.
"""

import ctypes
import queue
import threading
import time
from collections.abc import Iterable
from functools import cache
from itertools import islice

from .base import AnyPolicy, GroupPolicy, Policy, looks_at_one_run
from .groups import Group
from .proposals import Observation
from .wellformed import MOST_PROPOSALS

SECONDS = 1.0
# For all runs of one tick together: a policy that is slow for each of a thousand runs is slow too.
SECONDS_A_TICK = 3.0
# After the exception, before the thread is given up on.
GRACE_SECONDS = 0.2


class TimeUp(BaseException):  # not an Exception: a policy that catches those must not catch this
    """Raised inside a policy whose time is over."""


class TooSlow(RuntimeError):
    """The policy gave no answer in its time; the message says what was done about it."""


class Asker:
    """Asks one policy at a time, in a thread that can be given up."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.questions: queue.SimpleQueue[Observation | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[list[object] | BaseException] = queue.SimpleQueue()
        self.given_up = False
        self.thread = threading.Thread(target=self._work, name=f"policy {policy.name}", daemon=True)
        self.thread.start()

    @property
    def is_stuck(self) -> bool:
        return self.given_up and self.thread.is_alive()

    def _work(self) -> None:
        try:
            while (observation := self.questions.get()) is not None:
                self.answers.put(self._answer(observation))
        except TimeUp:
            return

    def _answer(self, observation: Observation) -> list[object] | BaseException:
        try:
            # A generator does its work while it is read, so it is read here.
            return list(islice(self.policy.propose(observation), MOST_PROPOSALS + 1))
        except TimeUp:
            raise
        except BaseException as error:  # noqa: BLE001  a plug-in may raise anything; who asked is told
            return error

    def ask(self, observation: Observation, seconds: float) -> list[object]:
        """Its answer. Raises what the policy raised, or TooSlow."""
        self.questions.put(observation)
        try:
            answer = self.answers.get(timeout=max(0.001, seconds))
        except queue.Empty:
            self._end()
            how = "it does not react and is left out until it does" if self.is_stuck else "it was stopped"
            raise TooSlow(f"gave no answer within {seconds:.2g} s; {how}") from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _end(self) -> None:
        """Stop the thread at its next line of Python, or, had it just answered, while it waits."""
        self.given_up = True
        self.questions.put(None)
        until = time.monotonic() + GRACE_SECONDS
        while self.thread.is_alive() and time.monotonic() < until:
            # Again and again: a policy may catch even this once.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.thread.ident or 0), ctypes.py_object(TimeUp)
            )
            self.thread.join(0.02)


class Grouped:
    """A group policy in the shape that an asker knows."""

    def __init__(self, policy: GroupPolicy) -> None:
        self.name, self.summary, self.defaults = policy.name, policy.summary, policy.defaults
        self.propose = policy.propose_group


@cache
def grouped(policy: GroupPolicy) -> Grouped:
    return Grouped(policy)


class Patience:
    """Asks policies for one tick: the site's own directly, plug-ins within their time."""

    def __init__(self, own: Iterable[str], seconds: float = SECONDS, in_all: float = SECONDS_A_TICK) -> None:
        self.own = frozenset(own)
        self.seconds = seconds
        self.left: dict[str, float] = {}
        self.in_all = in_all

    def of_group(self, policy: GroupPolicy, group: Group) -> Iterable[object]:
        """The answer of a group policy, within the same time. Raises what it raised, or TooSlow."""
        if policy.name in self.own:
            return policy.propose_group(group)
        return self(grouped(policy), group)  # type: ignore[arg-type]

    def __call__(self, policy: AnyPolicy, observation: Observation) -> Iterable[object]:
        """The policy's answer. Raises what it raised, or TooSlow."""
        if not looks_at_one_run(policy):
            return ()
        if policy.name in self.own:
            return policy.propose(observation)
        left = self.left.get(policy.name, self.in_all)
        if left <= 0:
            raise TooSlow(
                f"used up its {self.in_all:g} s of this tick; the runs that came later were left out"
            )
        asker = asker_of(policy)
        if asker.is_stuck:
            raise TooSlow("has not come back from an earlier question and is left out until it does")
        began = time.monotonic()
        try:
            return asker.ask(observation, self.seconds)
        finally:
            self.left[policy.name] = left - (time.monotonic() - began)


_askers: dict[int, Asker] = {}
_askers_lock = threading.Lock()


def asker_of(policy: Policy) -> Asker:
    """The policy's asker of this process; a new one where the last one's thread was ended."""
    with _askers_lock:
        asker = _askers.get(id(policy))
        if asker is None or asker.policy is not policy or not asker.thread.is_alive():
            asker = _askers[id(policy)] = Asker(policy)
        return asker
