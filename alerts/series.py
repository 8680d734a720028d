"""Looks at conditions over points: gathers the tracks of a rule's runs or nodes and asks the condition."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import numpy as np

from monitoring.models import Node
from monitoring.storage import series
from training.models import Run
from training.states import LIVE, RunState

from . import scope
from .conditions import Stalled, Track, held
from .found import Look, Subject, of_node, of_run
from .models import Rule

# Points read of each key where only the newest can decide. A condition that reaches further back is read by time.
TAIL = 600
# Buckets of a long range; a shorter one is exact.
WIDTH = 2000
MOST_WIDTH = 100_000
# What of a bucket's non-finite values stands for the bucket, by the column that is looked at.
TELLS = {"last": {"NaN", "Infinity", "-Infinity"}, "max": {"Infinity"}, "min": {"-Infinity"}, "mean": set()}


def look_at_runs(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    """Of runs that ended since, too: what broke one just before its end is told. past: read by time, for a preview."""
    runs = list(scope.runs(rule, since).select_related("experiment__project"))
    wanted = {of_run(run): keys_of(condition, run.summary) for run in runs}
    return look(rule, condition, {s: k for s, k in wanted.items() if k}, since, until, past)


def look_at_nodes(rule: Rule, condition: Any, since: datetime, until: datetime, past: bool) -> Look:
    wanted: dict[Subject, tuple[str, ...]] = {}
    for node in scope.nodes(rule).prefetch_related("devices"):
        for key in matching(condition.key, readings_of(node)):
            wanted[of_node(node, key)] = (key, beside(key, condition.per)) if condition.per else (key,)
    return look(rule, condition, wanted, since, until, past)


def keys_of(condition: Any, known: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a condition needs of a run, () where it has never logged them."""
    if not condition.key:  # any: the one that is logged at every step
        own = [key for key in known if not key.startswith("_")] or list(known)
        return (min(own),) if own else ()
    keys = (condition.key, condition.per) if getattr(condition, "per", "") else (condition.key,)
    return keys if all(key in known for key in keys) else ()


def readings_of(node: Node) -> list[str]:
    devices = [d for d in node.devices.all() if not d.removed]
    return [*node.latest, *(d.key_prefix + name for d in devices for name in d.latest)]


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name == pattern or fnmatchcase(name, pattern)]


def beside(key: str, per: str) -> str:
    """The divisor that belongs to a key found by a pattern: gpu*/memory_total_bytes of gpu3/memory_used_bytes."""
    return key.rsplit("/", 1)[0] + "/" + per.rsplit("/", 1)[1] if "*" in per and "/" in key else per


def look(
    rule: Rule,
    condition: Any,
    wanted: Mapping[Subject, tuple[str, ...]],
    since: datetime,
    until: datetime,
    past: bool,
) -> Look:
    reach = condition.lookback()
    begin = None if reach is None else since.timestamp() - reach - rule.hold_seconds
    end = until.timestamp()
    tails = {} if past or begin is None else tails_of(wanted)
    found = Look(looked_at=len(wanted))
    for subject, keys in wanted.items():
        source = source_of(subject)
        tracks = [tails.get(source, {}).get(key) for key in keys]
        if any(track is None or not reaches(track, begin) for track in tracks):
            tracks = [read(source, key, subject.run, begin, end, condition) for key in keys]
        track = divided(*tracks) if len(keys) == 2 else tracks[0]
        if track is None or not len(track):
            continue
        last = float(track.times[-1])
        live = subject.run is None or subject.run.state in LIVE
        moves = subject.run is None or subject.run.state == RunState.RUNNING  # a paused one may be silent
        named = of_these(condition, keys)
        spans = held(named.spans(track, end, moves), rule.hold_seconds, end if live else last)
        if not live:
            spans = [span for span in spans if span.end is not None or last >= since.timestamp()]
        if spans:
            found.spans[subject] = spans
    return found


def of_these(condition: Any, keys: tuple[str, ...]) -> Any:
    """The condition with the keys that its pattern found: its words name the device, not the pattern."""
    if "*" not in condition.key:
        return condition
    return msgspec.structs.replace(condition, key=keys[0], **({"per": keys[1]} if len(keys) == 2 else {}))


def source_of(subject: Subject) -> str:
    thing = subject.run or subject.node
    assert thing is not None
    return thing.source


def tails_of(wanted: Mapping[Subject, tuple[str, ...]]) -> dict[str, dict[str, Track]]:
    """The newest points of all of them, in two queries a few hundred sources."""
    keys_by_source: dict[str, set[str]] = defaultdict(set)
    for subject, keys in wanted.items():
        keys_by_source[source_of(subject)].update(keys)
    sources = list(keys_by_source)
    found: dict[str, dict[str, Track]] = {}
    for first in range(0, len(sources), 400):
        some = sources[first : first + 400]
        together = sorted({key for source in some for key in keys_by_source[source]})
        for source, columns in series.tail(some, together, TAIL).items():
            found[source] = {key: in_time(*columns[key]) for key in columns}
    return found


def in_time(steps: Any, times: Any, values: Any) -> Track:
    order = np.argsort(times, kind="stable")
    return Track(times[order], steps[order], values[order])


def reaches(track: Track, begin: float | None) -> bool:
    """Whether nothing that matters lies before what was read."""
    return begin is not None and (len(track) < TAIL or float(track.times[0]) <= begin)


def read(
    source: str, key: str, run: Run | None, begin: float | None, end: float, condition: Any
) -> Track | None:
    """The key's points in a range of time; of a long range, of each bucket the value that could break a limit."""
    width = WIDTH
    if begin is not None and isinstance(condition, Stalled):
        # Buckets wider than the gap that is looked for would all look like gaps.
        width = int(min(MOST_WIDTH, max(WIDTH, 4 * (end - begin) / condition.seconds)))
    parts = series.read(
        source, [key], width=width, x="time", start=begin, end=end, branches=run.branches if run else ()
    )
    parts = [part for part in parts if not part.faded]
    if not parts:
        return None
    telling = getattr(condition, "is_", "") or getattr(condition, "direction", "")
    column = {"above": "max", "max": "max", "below": "min", "min": "min"}.get(telling, "last")
    if getattr(condition, "of", "last") == "mean":
        column = "mean"
    times, steps, values = [], [], []
    for part in parts:
        chosen = part.columns["last" if part.exact else column].astype(np.float64)
        for kind, places in part.marks:
            if not part.exact and kind not in TELLS[column]:
                continue  # the other points of the bucket tell more than its NaN
            chosen[places] = float(kind.lower().replace("infinity", "inf"))
        times.append(part.columns["time"].astype(np.float64))
        steps.append(part.columns["step"].astype(np.int64))
        values.append(chosen)
    track = in_time(np.concatenate(steps), np.concatenate(times), np.concatenate(values))
    low = -np.inf if begin is None else begin
    inside = (track.times >= low) & (track.times <= end)
    return Track(track.times[inside], track.steps[inside], track.values[inside])


def divided(above: Track | None, below: Track | None) -> Track | None:
    """One key by another where both have a point of the same step; 0 / 0 is no figure."""
    if above is None or below is None:
        return None
    steps, here, there = np.intersect1d(above.steps, below.steps, return_indices=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = above.values[here] / below.values[there]
    return in_time(steps, above.times[here], values)


LOOKS: dict[str, Any] = {"run": look_at_runs, "node": look_at_nodes}
