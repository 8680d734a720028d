"""From what was handed to the link to batches of a size that the server takes."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .plain import LONGEST_TEXT, plain, text
from .protocol import Batch, Column, Event, EventKind, LogLine, PackedColumn, encode
from .thinning import pack

# Far below protocol.MAX_FRAME_BYTES: a frame above that is refused, and the link with it.
MOST_BYTES = 2**20
BYTES_A_POINT = 24


class Parcel(NamedTuple):
    """What goes up together; a batch holds parcels of one branch."""

    branch: int = 0
    columns: Sequence[Column | PackedColumn] = ()
    lines: Sequence[LogLine] = ()
    events: Sequence[Event] = ()


def parted(parcels: "deque[Parcel]") -> Iterator[Batch]:
    """The parcels of the first one's branch, taken out of the queue, as batches that are still to be numbered.

    Events come in their order, and never before points that were handed over before them.
    """
    branch = parcels[0].branch
    batch, room = Batch(0, branch), MOST_BYTES
    while parcels and parcels[0].branch == branch:
        parcel = parcels.popleft()
        for part, size in (*columns(parcel.columns), *lines(parcel.lines), *events(parcel.events)):
            if size > room:
                yield joined(batch)
                batch, room = Batch(0, branch), MOST_BYTES
            room -= size
            if isinstance(part, PackedColumn):
                batch.packed.append(part)
            elif isinstance(part, LogLine):
                batch.lines.append(part)
            elif isinstance(part, Event):
                batch.events.append(part)
    if batch.packed or batch.lines or batch.events:
        yield joined(batch)


def columns(found: Iterable[Column | PackedColumn]) -> Iterator[tuple[PackedColumn, int]]:
    """(piece of a column, bytes)."""
    most = MOST_BYTES // 2 // BYTES_A_POINT * 8  # bytes of one of the three arrays
    for column in found:
        whole = pack(column) if isinstance(column, Column) else column
        for start in range(0, len(whole.steps), most):
            piece = whole
            if len(whole.steps) > most:
                end = start + most
                piece = PackedColumn(
                    whole.key, whole.steps[start:end], whole.times[start:end], whole.values[start:end]
                )
            yield piece, 3 * len(piece.steps) + 4 * len(piece.key) + 20


def lines(found: Iterable[LogLine]) -> Iterator[tuple[LogLine, int]]:
    for line in found:
        if len(line.text) > LONGEST_TEXT or not line.text.isascii():
            line.text = text(line.text)
        yield line, 4 * len(line.text) + 40


def events(found: Iterable[Event]) -> Iterator[tuple[Event, int]]:
    for event in found:
        try:
            size = len(encode(event))
        except (TypeError, ValueError, OverflowError, RecursionError):  # what MessagePack cannot hold
            event.data = plain(event.data)
            size = len(encode(event))
        if size > MOST_BYTES:
            said = f"an event of kind {event.kind} was left out: it has {size} bytes, at most {MOST_BYTES} are sent"
            event = Event(EventKind.NOTE, event.time, event.step, {"message": said})
            size = 300
        yield event, size


def joined(batch: Batch) -> Batch:
    """One column a key, points in the order they came."""
    by_key: dict[str, list[PackedColumn]] = {}
    for column in batch.packed:
        by_key.setdefault(column.key, []).append(column)
    if len(by_key) < len(batch.packed):
        batch.packed = [
            PackedColumn(
                key,
                b"".join(part.steps for part in parts),
                b"".join(part.times for part in parts),
                b"".join(part.values for part in parts),
            )
            for key, parts in by_key.items()
        ]
    return batch
