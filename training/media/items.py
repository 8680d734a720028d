"""Takes what processes send into the table, and lets it go again."""

import logging
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Sum

from monitoring.live.publish import publish_change
from training.models import Media, MediaKind, Run

from . import files
from .types import HEAD_BYTES, WrongType, content_type

logger = logging.getLogger(__name__)
MAX_ITEMS_PER_RUN = 200_000
MAX_KEYS_PER_RUN = 1000


class Refused(Exception):
    """Why an item is not kept, in words for its sender."""


def room_for(run: Run, size: int) -> None:
    """Raise Refused where a file of so many bytes is too large, or the run has too much already."""
    if size > settings.MEDIA_FILE_BYTES:
        raise Refused(
            f"a file of {words(size)}; at most {words(settings.MEDIA_FILE_BYTES)} are kept (SCALEWEB_MEDIA_FILE_MIB)"
        )
    used = run.media.aggregate(bytes=Sum("size_bytes"))["bytes"] or 0
    if used + size > settings.MEDIA_RUN_BYTES:
        raise Refused(
            f"the run has {words(used)} of files, and {words(size)} more would pass the "
            f"{words(settings.MEDIA_RUN_BYTES)} that a run may have (SCALEWEB_MEDIA_RUN_GIB)"
        )


def words(size: float) -> str:
    unit = "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.4g} {unit}"


def take(run: Run, items: list[dict[str, Any]]) -> dict[str, str]:
    """Store items that were checked for their shape; {uid: why} of those that cannot be kept.

    What came before under its uid is taken and not stored again. The bytes must be here.
    """
    refused: dict[str, str] = {}
    rows: list[Media] = []
    figures = run.media.aggregate(count=Count("pk"), keys=Count("key", distinct=True))
    known = set(
        run.media.filter(key__in={item["key"] for item in items}).values_list("key", flat=True).distinct()
    )
    for item in items:
        try:
            if figures["count"] + len(rows) >= MAX_ITEMS_PER_RUN:
                raise Refused(
                    f"the run has {MAX_ITEMS_PER_RUN} items, which is the most; log them less often"
                )
            if item["key"] not in known:
                if figures["keys"] >= MAX_KEYS_PER_RUN:
                    raise Refused(f"the run has {MAX_KEYS_PER_RUN} keys of media, which is the most")
                figures["keys"] += 1
                known.add(item["key"])
            rows.append(row_of(run, item))
        except Refused as reason:
            refused[item["uid"]] = f"{item['key'][:80]} at step {item['step']}: {reason}"
    Media.objects.bulk_create(rows, ignore_conflicts=True)
    for key in dict.fromkeys(row.key for row in rows):
        newest = max((row for row in rows if row.key == key), key=lambda row: row.step)
        publish_change(run.source, "media", {"key": key, "kind": newest.kind, "step": newest.step})
    return refused


def row_of(run: Run, item: dict[str, Any]) -> Media:
    if item["kind"] == MediaKind.HISTOGRAM:
        return Media(run=run, **item)
    size = files.size(run.code, item["sha256"])
    if size is None:
        raise Refused("its bytes never came whole")
    try:
        found = content_type(item["kind"], files.head(run.code, item["sha256"], HEAD_BYTES))
    except WrongType as error:
        raise Refused(str(error)) from None
    return Media(run=run, **item | {"size_bytes": size, "content_type": found})


def keys(run: Run) -> Iterable[Any]:
    """What there is under each key: how many, of what kind, from which step to which."""
    return (
        run.media.order_by("key", "kind")
        .values("key", "kind")
        .annotate(
            count=Count("pk"), first_step=Min("step"), last_step=Max("step"), size_bytes=Sum("size_bytes")
        )
    )
