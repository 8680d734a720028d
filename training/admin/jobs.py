"""Jobs with their attempts, the parts and ranks of these, what they used and what they hold."""

from django.contrib import admin, messages

from monitoring.admin import ReadOnly
from training import states
from training.models import Attempt, DeviceLease, Job, Member, Rank, Usage


class Attempts(admin.TabularInline):
    model = Attempt
    fk_name = "job"
    extra = 0
    can_delete = False
    show_change_link = True
    fields = readonly_fields = [
        "number",
        "node",
        "state",
        "outcome",
        "exit_code",
        "signal",
        "first_error_line",
        "started_at",
        "ended_at",
    ]

    def has_add_permission(self, request, obj=None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    list_display = [
        "code",
        "run",
        "state",
        "priority",
        "device_kind",
        "retries_used",
        "waiting_reason",
        "submitted_by",
        "submitted_at",
    ]
    list_filter = ["state", "device_kind", "run__experiment__project", "submitted_at"]
    search_fields = ["=code", "=run__code", "run__name"]
    list_select_related = ["run", "submitted_by"]
    # The environment may hold a secret that its owner gave the training: it is not shown here.
    fields = [
        "code", "run", "argv", "cwd", "device_kind", "min_devices", "max_devices", "launcher", "max_nodes", "keep",
        "wanted_devices", "priority", "position", "preemptible", "max_retries",
        "retries_used", "state", "waiting_reason", "submitted_by", "submitted_at", "ended_at",
    ]  # fmt: skip
    readonly_fields = [name for name in fields if name not in {"priority", "preemptible", "max_retries"}]
    inlines = [Attempts]
    ordering = ["-id"]
    actions = ["stop", "requeue"]

    def has_add_permission(self, request) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False  # its run is deleted, and the job with it

    @admin.action(description="Stop", permissions=["change"])
    def stop(self, request, jobs):
        from training.jobs.submit import stop

        self.each(request, jobs, stop, "asked to stop")

    @admin.action(description="Requeue", permissions=["change"])
    def requeue(self, request, jobs):
        from training.jobs.submit import requeue

        self.each(request, jobs, requeue, "queued again")

    def each(self, request, jobs, act, done: str) -> None:
        from training.jobs.submit import JobRefused

        for job in jobs:
            try:
                act(job, request.user.get_username())
            except (JobRefused, states.IllegalMove) as error:
                self.message_user(request, f"{job.code}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{job.code}: {done}.")


@admin.register(Member)
class MemberAdmin(ReadOnly):
    list_display = ["attempt", "node", "node_rank", "state", "exit_code", "lease_expires_at"]
    list_select_related = ["attempt__job", "node"]
    ordering = ["-id"]


@admin.register(Rank)
class RankAdmin(ReadOnly):
    list_display = ["run", "rank", "world_size", "process", "connected_at"]
    list_select_related = ["run"]
    search_fields = ["=run__code"]
    ordering = ["-id"]


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    list_display = [
        "job",
        "number",
        "node",
        "state",
        "outcome",
        "exit_code",
        "signal",
        "first_error_line",
        "heartbeat_at",
    ]
    list_filter = ["state", "outcome", "node"]
    search_fields = ["=job__code", "first_error_line"]
    list_select_related = ["job", "node"]


@admin.register(Usage)
class UsageAdmin(ReadOnly):
    list_display = [
        "attempt",
        "node",
        "device_seconds",
        "joules",
        "cost",
        "currency",
        "counted_until",
        "settled",
    ]
    list_filter = ["settled"]
    search_fields = ["=attempt__job__code", "=node"]
    list_select_related = ["attempt__job"]


@admin.register(DeviceLease)
class DeviceLeaseAdmin(ReadOnly):
    list_display = ["device", "attempt"]
    search_fields = ["device__node__name", "=attempt__job__code"]
    list_select_related = ["device__node", "attempt__job"]
