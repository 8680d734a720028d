"""Lets media go by age, and files that no row names: of senders that died, and of runs that were deleted meanwhile."""

import time
from pathlib import Path

from django.conf import settings

from training.models import Media, Run

from . import files

ROWS_AT_ONCE = 500
# A file is sent before its row: what has none may be under way.
SENDING_SECONDS = 24 * 3600.0
RUNS_AT_ONCE = 200


def age(limit_seconds: float = 2.0) -> int:
    """Delete what is older than SCALEWEB_KEEP_MEDIA_DAYS, for about so long; how many items went."""
    deadline = time.monotonic() + limit_seconds
    gone = 0
    while settings.KEEP_MEDIA_DAYS and time.monotonic() < deadline:
        old = Media.objects.filter(at__lt=time.time() - settings.KEEP_MEDIA_DAYS * 86_400).order_by("pk")
        rows = list(old.select_related("run")[:ROWS_AT_ONCE])
        if not rows:
            break
        Media.objects.filter(pk__in=[row.pk for row in rows]).delete()
        for row in rows:
            if row.sha256 and not row.run.media.filter(sha256=row.sha256).exists():
                files.remove(row.run.code, row.sha256)
        gone += len(rows)
    return gone


def sweep(limit_seconds: float = 2.0) -> int:
    """Delete files without a row that lie for a day; how many files and folders went."""
    deadline, gone = time.monotonic() + limit_seconds, 0
    home = Path(settings.MEDIA_DIR)
    codes = sorted(each.name for each in home.iterdir()) if home.is_dir() else []
    for first in range(0, len(codes), RUNS_AT_ONCE):
        some = codes[first : first + RUNS_AT_ONCE]
        runs = dict(Run.objects.filter(code__in=some).values_list("code", "pk"))
        for code in some:
            if time.monotonic() > deadline:
                return gone
            old = [each for each in files.folder(code).glob("*/*") if lies_long(each)]
            if code not in runs:
                if old or lies_long(files.folder(code)):
                    files.remove_run(code)
                    gone += 1
                continue
            named = (
                set(Media.objects.filter(run_id=runs[code]).values_list("sha256", flat=True))
                if old
                else set()
            )
            for each in old:
                if each.name not in named:
                    each.unlink(missing_ok=True)
                    gone += 1
    return gone


def lies_long(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > SENDING_SECONDS
    except OSError:
        return False
