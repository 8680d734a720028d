"""What a project may send."""

from django.conf import settings
from django.db.models import Sum

from training.models import Project, WorkingCopy

from . import files


class Refused(Exception):
    """The message says what would do."""


def check(project: Project, size: int) -> None:
    """Raises Refused for an archive of so many bytes."""
    mib = 2**20
    if size > settings.COPY_BYTES:
        raise Refused(
            f"{size / mib:,.0f} MiB packed; at most {settings.COPY_BYTES / mib:,.0f} MiB are taken. Leave data and "
            "checkpoints out with a .scalewebignore"
        )
    held = WorkingCopy.objects.filter(project=project).aggregate(all=Sum("size_bytes"))["all"] or 0
    if held + size > settings.COPIES_BYTES:
        raise Refused(
            f"the working copies of {project.slug} have {held / mib:,.0f} MiB, and with these {size / mib:,.0f} it "
            f"would be more than its {settings.COPIES_BYTES / mib:,.0f}; those of deleted runs go within a day"
        )
    if not files.has_room(size):
        raise Refused("the server's disk is nearly full; make room there")
