"""How long the link's thread gathers before it flushes."""

from collections.abc import Iterable

from .parcels import Parcel

# Flushed this often, somebody watches; more rarely, a flush costs nothing worth saving.
FREQUENT_SECONDS = 0.25
PATIENCE = 2.0


def pause_after(parcels: Iterable[Parcel], hinted: float) -> float:
    """Seconds until the next flush, after one of these parcels. hinted: the least that the server asked for.

    A key with several points in one flush belongs to a training of short steps. A person sees its curve grow
    and not the single point come, so it gathers twice as long: half the flushes, for all who handle them, and
    a point waits for 50 ms at the mean.
    """
    if hinted > FREQUENT_SECONDS:
        return hinted
    several = any(len(column.steps) > one(column.steps) for parcel in parcels for column in parcel.columns)
    return hinted * PATIENCE if several else hinted


def one(steps: object) -> int:
    """How long one step is: packed, or in a list."""
    return 8 if isinstance(steps, bytes) else 1
