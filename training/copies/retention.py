"""Lets go of working copies that no job has, and of files that no row names."""

import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import ProtectedError
from django.utils import timezone

from training.models import WorkingCopy

# A copy is sent before its job is submitted.
SENDING = timedelta(days=1)


def sweep() -> int:
    """Returns how many files went."""
    for copy in WorkingCopy.objects.filter(jobs=None, created_at__lt=timezone.now() - SENDING):
        try:
            copy.delete()
        except ProtectedError:
            continue  # a job took it just now
    gone = 0
    home = Path(settings.COPY_DIR)
    for file in home.glob("*/*") if home.is_dir() else []:
        named = WorkingCopy.objects.filter(sha256=file.name).exists()
        if not named and time.time() - file.stat().st_mtime > SENDING.total_seconds():
            file.unlink(missing_ok=True)
            gone += 1
    return gone
