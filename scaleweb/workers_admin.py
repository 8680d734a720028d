"""The site's Celery workers and ticks, as a page of the admin: they have no table to be listed by."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from training.jobs import at_work
from training.jobs.ticks import span


@require_safe
def workers(request: HttpRequest) -> HttpResponse:
    """For whoever may look at nodes there."""
    if not request.user.has_perm("monitoring.view_node"):
        raise PermissionDenied
    now = timezone.now()
    told = at_work.told(now)
    rows = [
        {
            "tick": tick,
            "every": span(tick.every),
            "ago": tick.at and span(tick.away(now)),
            "late": tick.late(now),
        }
        for tick in told["ticks"]
    ]
    for worker in told["workers"]:
        worker["up"] = span(worker["uptime_seconds"])
    context = admin.site.each_context(request) | {
        "title": "Celery workers", "workers": told["workers"], "ticks": rows, "wrong": told["wrong"],
    }  # fmt: skip
    return render(request, "admin/workers.html", context)
