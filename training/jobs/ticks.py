"""When each tick of the beat was last done, how long it takes, and what to do where one is late.

The workers note it in the broker, beside what the ticks are sent through: no tick writes a row for it. An emptied
broker has forgotten it, and the next tick of each tells it again.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.conf import settings
from redis.exceptions import RedisError

from monitoring.live import publish
from monitoring.live.refused import why

logger = logging.getLogger(__name__)
KEY = "sw:ticks"
CONTROL = "control"
# Late: so many times its interval, and a moment for a tick that takes long.
LATE_INTERVALS, LATE_SECONDS = 3.0, 15.0
# More messages than that wait for the worker of `control` only where none takes them.
TAKEN_SOON = 3
# Without these nothing moves: pages of jobs say so. The first of them is told.
VITAL = {
    "training.place": "Nothing has been placed",
    "training.reap": "No lease has been judged",
    "control.tick": "The controller has looked at no run",
}


class BrokerAway(Exception):
    """Nobody can be asked; the message says why."""


@dataclass(frozen=True)
class Tick:
    """One task that beat sends, as the workers noted it.

    every: seconds between two. at: when it was last done; None where nobody knows. since: where nobody knows, from
    when on somebody has looked for it. seconds: how long the last took; all_seconds: all the `done` that are counted.
    failed: how often it raised; failing: how often since it was last done.
    """

    task: str
    every: float
    at: datetime | None
    since: datetime | None = None
    seconds: float | None = None
    all_seconds: float = 0.0
    done: int = 0
    failed: int = 0
    failing: int = 0

    def late(self, now: datetime) -> bool:
        return self.away(now) > LATE_INTERVALS * self.every + LATE_SECONDS

    def away(self, now: datetime) -> float:
        """Seconds since it was last done, at least; 0 where nobody has looked yet."""
        known = self.at or self.since
        return (now - known).total_seconds() if known else 0.0


began: dict[str, float] = {}


@task_prerun.connect
def begun(task_id: str = "", task: Any = None, **_: Any) -> None:
    if task is not None and task.name in intervals():
        began[task_id] = time.monotonic()


@task_postrun.connect
def ended(task_id: str = "", task: Any = None, state: str = "", **_: Any) -> None:
    """In the worker that did it. A broker that is away is another's to tell."""
    start = began.pop(task_id, None)
    if task is None or task.name not in intervals():
        return
    took = 0.0 if start is None else time.monotonic() - start
    try:
        note(task.name, took, state == "SUCCESS")
    except (RedisError, OSError):
        logger.debug("that %s has ended could not be noted", task.name)


def note(task: str, took: float, well: bool) -> None:
    pipe = publish.client().pipeline(transaction=False)
    if well:
        pipe.hset(KEY, mapping={task: time.time(), f"{task}:seconds": took, f"{task}:failing": 0})
        pipe.hincrbyfloat(KEY, f"{task}:all_seconds", took)
        pipe.hincrby(KEY, f"{task}:done", 1)
    else:
        pipe.hincrby(KEY, f"{task}:failed", 1)
        pipe.hincrby(KEY, f"{task}:failing", 1)
    pipe.execute()


def intervals() -> dict[str, float]:
    beat: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    return {entry["task"]: float(entry["schedule"]) for entry in beat.values()}


def ticks() -> list[Tick]:
    """Every tick of the beat, the most frequent first. Raises BrokerAway."""
    return read()[0]


def read() -> tuple[list[Tick], int]:
    """The ticks, and how many messages wait for the worker of `control`. Raises BrokerAway."""
    if publish.outage.recent():
        raise BrokerAway("the broker does not answer")
    try:
        broker = publish.client()
        pipe = broker.pipeline(transaction=False)
        pipe.hgetall(KEY)
        pipe.llen(CONTROL)
        noted, waiting = pipe.execute()
        told = {name.decode(): float(figure) for name, figure in noted.items()}
        unknown = [task for task in intervals() if task not in told and f"{task}:since" not in told]
        if unknown:
            # From here on it is known to be missing: a beat that was never started is late some time.
            told |= {f"{task}:since": time.time() for task in unknown}
            broker.hset(KEY, mapping={f"{task}:since": told[f"{task}:since"] for task in unknown})
    except (RedisError, OSError) as error:
        publish.outage.note(error)
        raise BrokerAway(why(error)) from None
    rows = [row(task, every, told) for task, every in intervals().items()]
    return sorted(rows, key=lambda tick: (tick.every, tick.task)), waiting


def row(task: str, every: float, told: dict[str, float]) -> Tick:
    def moment(name: str) -> datetime | None:
        return datetime.fromtimestamp(told[name], UTC) if name in told else None

    def count(name: str) -> int:
        return int(told.get(f"{task}:{name}", 0))

    return Tick(
        task, every, moment(task), moment(f"{task}:since"), told.get(f"{task}:seconds"),
        told.get(f"{task}:all_seconds", 0.0), count("done"), count("failed"), count("failing"),
    )  # fmt: skip


def stalled(now: datetime) -> str:
    """Why nothing moves, in a sentence with what to do; "" where the ticks come."""
    try:
        rows, waiting = read()
    except BrokerAway as error:
        words = (
            f"{error}; jobs start late and nothing is live until it is back. Look whether it runs, and whether "
            "REDIS_URL leads there."
        )
        return words[0].upper() + words[1:]
    late = [tick for task in VITAL for tick in rows if tick.task == task and tick.late(now)]
    return sentence(late[0], rows, waiting, now) if late else ""


def sentence(tick: Tick, rows: Sequence[Tick], waiting: int, now: datetime) -> str:
    """What a late tick means, and what to do. waiting: messages that no worker has taken."""
    what = VITAL.get(tick.task, f"{tick.task} was not done")
    time_away, every = span(tick.away(now)), span(tick.every)
    return f"{what} for {time_away}, and it is due every {every}: {cause(tick, rows, waiting, now)}."


def cause(tick: Tick, rows: Sequence[Tick], waiting: int, now: datetime) -> str:
    log = f"look into the log of the worker of {CONTROL}"
    if tick.failing:
        times = "once" if tick.failing == 1 else f"{tick.failing} times"
        return f"it has failed {times} since; {log}"
    if waiting > TAKEN_SOON:
        return (
            f"{waiting} messages wait, and no worker takes them; start one (celery -A scaleweb worker -Q {CONTROL}), "
            f"or {log}"
        )
    if all(each.late(now) for each in rows if each.every <= tick.every):
        return "nobody sends the ticks; is beat running? Start it (celery -A scaleweb beat), or look into its log"
    return f"other ticks are done, so this one hangs; {log}, and start that worker again"


def span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
