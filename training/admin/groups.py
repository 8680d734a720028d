"""Groups of jobs, what jobs wait for and what was sent with them: to look at, and groups to stop and to queue again."""

from django.contrib import admin

from monitoring.admin import ReadOnly
from training.jobs import groups
from training.models import JobDependency, JobGroup, WorkingCopy


@admin.register(JobGroup)
class JobGroupAdmin(ReadOnly):
    list_display = ["code", "name", "kind", "count", "at_once", "experiment", "submitted_by", "submitted_at"]
    list_filter = ["kind"]
    search_fields = ["=code", "name", "experiment__name"]
    list_select_related = ["experiment__project", "submitted_by"]
    ordering = ["-id"]
    actions = ["stop", "requeue"]

    def has_steer_permission(self, request) -> bool:
        return bool(request.user.has_perm("training.change_job"))

    @admin.action(description="Stop: end what waits or runs", permissions=["steer"])
    def stop(self, request, chosen) -> None:
        for group in chosen:
            count = groups.stop(group, request.user.get_username())
            self.message_user(request, f"{group.code}: {count} stopped or asked to stop.")

    @admin.action(description="Requeue what failed or was stopped", permissions=["steer"])
    def requeue(self, request, chosen) -> None:
        for group in chosen:
            count = groups.requeue(group, request.user.get_username())
            self.message_user(request, f"{group.code}: {count} queued again.")


@admin.register(JobDependency)
class JobDependencyAdmin(ReadOnly):
    list_display = ["job", "on_code", "when"]
    list_filter = ["when"]
    search_fields = ["=job__code", "=on_code"]
    list_select_related = ["job__run"]


@admin.register(WorkingCopy)
class WorkingCopyAdmin(ReadOnly):
    list_display = ["sha256", "project", "size_bytes", "created_by", "created_at"]
    list_filter = ["project"]
    search_fields = ["=sha256", "project__slug"]
    list_select_related = ["project", "created_by"]
