"""Projects, experiments, runs, jobs and tokens in the Django admin.

What has one writer in the code (a run's state, commands, attempts) is read-only here; actions go through the
same functions as the pages do. Groups, dependencies and working copies are in groups_admin.
"""

from django import forms
from django.contrib import admin, messages
from django.utils import timezone
from rest_framework import serializers

from monitoring.admin import ReadOnly
from monitoring.json_form import ListField

from . import groups_admin as groups_admin
from . import pinning, states
from .api.run_serializers import TagList
from .commands import CommandRefused, issue
from .deleting import delete_experiment, delete_project, delete_run
from .joining import LONGEST_LIFE, CannotJoin, addresses
from .models import (
    ApiToken,
    Attempt,
    Checkpoint,
    Command,
    DeviceLease,
    Experiment,
    Job,
    Media,
    Member,
    Membership,
    Project,
    Quota,
    Rank,
    Run,
    RunEvent,
    SavedView,
    Schedule,
    TokenKind,
    Tunable,
    Usage,
    ViewLink,
)
from .quotas import beyond


class Members(admin.TabularInline):
    model = Membership
    extra = 1
    autocomplete_fields = ["user"]


class Quotas(admin.TabularInline):
    model = Quota
    extra = 0
    max_num = 2  # one a kind of device


class DeletesWithSeries(admin.ModelAdmin):
    """Deletes through the domain, which refuses what is live and takes the series along."""

    def remove(self, thing) -> None:
        raise NotImplementedError

    def get_deleted_objects(self, objs, request):
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        # Commands, events and attempts are read-only by themselves; with their run they may go.
        return listed, counts, set(), protected

    def delete_model(self, request, obj) -> None:
        self.delete_queryset(request, [obj])

    def delete_queryset(self, request, queryset) -> None:
        for thing in list(queryset):
            try:
                self.remove(thing)
            except states.IllegalMove as error:
                self.message_user(request, f"Not deleted: {error}", messages.ERROR)


@admin.register(Project)
class ProjectAdmin(DeletesWithSeries):
    list_display = ["slug", "name", "created_at"]
    search_fields = ["slug", "name"]
    inlines = [Members, Quotas]

    def remove(self, thing) -> None:
        delete_project(thing)


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):
    list_display = ["project", "kind", "devices", "borrow"]
    list_filter = ["kind"]
    list_select_related = ["project"]
    autocomplete_fields = ["project"]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if words := beyond(obj):
            self.message_user(request, f"{obj}: {words}.", messages.WARNING)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["user", "role", "project"]
    list_filter = ["role", "project"]
    search_fields = ["user__username", "project__slug"]
    autocomplete_fields = ["user", "project"]
    list_select_related = ["user", "project"]


@admin.register(Experiment)
class ExperimentAdmin(DeletesWithSeries):
    list_display = [
        "name",
        "project",
        "goal_metric",
        "goal_direction",
        "goal_target",
        "archived",
        "created_at",
    ]
    list_filter = ["archived", "project", "goal_direction"]
    search_fields = ["name", "slug", "notes"]
    autocomplete_fields = ["project", "created_by"]
    list_select_related = ["project"]
    actions = ["archive", "unarchive"]

    def get_readonly_fields(self, request, obj=None):
        return ["project", "created_at"] if obj else ["created_at"]  # an experiment stays in its project

    def remove(self, thing) -> None:
        delete_experiment(thing)

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request, experiments):
        self.message_user(request, f"Archived {experiments.update(archived=True)}.")

    @admin.action(description="Take out of the archive", permissions=["change"])
    def unarchive(self, request, experiments):
        self.message_user(request, f"Unarchived {experiments.update(archived=False)}.")


class RunForm(forms.ModelForm):
    tags = ListField(help_text='A JSON list of texts, such as ["best"].')

    def clean_tags(self) -> list[str]:
        try:
            return TagList().run_validation(self.cleaned_data["tags"])
        except serializers.ValidationError:
            words = "Expected at most 100 texts, each of one line of 1 to 100 characters."
            raise forms.ValidationError(words) from None


class Tunables(admin.TabularInline):
    model = Tunable
    extra = 0
    can_delete = False
    fields = readonly_fields = [
        "name",
        "kind",
        "value",
        "low",
        "high",
        "scale",
        "role",
        "changed_at",
        "changed_by",
    ]

    def has_add_permission(self, request, obj=None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(DeletesWithSeries):
    form = RunForm
    list_display = [
        "code",
        "name",
        "experiment",
        "state",
        "last_step",
        "created_by",
        "created_at",
        "last_seen_at",
    ]
    list_filter = ["state", "experiment__project", "created_at"]
    search_fields = ["=code", "name", "experiment__name"]
    list_select_related = ["experiment__project", "created_by"]
    # A run stays where it was made: its process, its viewers and its commands go by that.
    readonly_fields = [
        "code", "experiment", "created_by", "state", "config", "created_at", "started_at", "ended_at",
        "last_seen_at", "last_step", "parent", "parent_step", "branches", "summary", "process", "actions",
    ]  # fmt: skip
    inlines = [Tunables]
    actions = ["stop"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request) -> bool:
        return False  # a run comes with a token or a job: by the API, the pages or `scaleweb submit`

    def remove(self, thing) -> None:
        delete_run(thing)

    @admin.action(description="Stop cleanly at the next step", permissions=["change"])
    def stop(self, request, runs):
        for run in runs:
            try:
                issue(
                    run,
                    "stop",
                    asked_by=request.user.get_username(),
                    user=request.user,
                    reason="from the admin",
                )
            except CommandRefused as error:
                self.message_user(request, f"{run.code}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{run.code}: asked to stop.")


@admin.register(Tunable)
class TunableAdmin(ReadOnly):
    list_display = ["run", "name", "kind", "value", "low", "high", "scale", "role", "changed_by"]
    list_filter = ["kind", "role"]
    search_fields = ["=run__code", "name"]
    list_select_related = ["run"]


@admin.register(RunEvent)
class RunEventAdmin(ReadOnly):
    list_display = ["at", "run", "kind", "old", "new", "step", "actor", "reason"]
    list_filter = ["kind", "at"]
    search_fields = ["=run__code", "reason", "actor"]
    list_select_related = ["run"]
    show_full_result_count = False


@admin.register(Checkpoint)
class CheckpointAdmin(admin.ModelAdmin):
    list_display = ["run", "step", "branch", "size_bytes", "pinned", "available", "reason", "created_at"]
    list_filter = ["pinned", "available", "created_at"]
    search_fields = ["=run__code", "path"]
    list_select_related = ["run"]
    readonly_fields = [
        "run", "step", "branch", "path", "size_bytes", "sha256", "metrics", "reason", "created_at",
        "available", "kept_by",
    ]  # fmt: skip
    actions = ["pin", "unpin"]

    def has_add_permission(self, request) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False  # the file would stay, and nothing would know of it

    @admin.action(description="Pin: keep whatever the keep rule says", permissions=["change"])
    def pin(self, request, checkpoints):
        self.each_pinned(request, checkpoints, True)

    @admin.action(description="Unpin", permissions=["change"])
    def unpin(self, request, checkpoints):
        self.each_pinned(request, checkpoints, False)

    def each_pinned(self, request, checkpoints, pinned: bool) -> None:
        done = 0
        for checkpoint in checkpoints:
            try:
                pinning.pin(checkpoint, pinned, user=request.user)
                done += 1
            except states.IllegalMove as error:
                self.message_user(request, f"{checkpoint}: {error}", messages.ERROR)
        if done:
            self.message_user(request, f"{'Pinned' if pinned else 'Unpinned'} {done}.")


@admin.register(Media)
class MediaAdmin(ReadOnly):
    list_display = ["run", "key", "kind", "step", "name", "size_bytes", "content_type"]
    list_filter = ["kind"]
    search_fields = ["=run__code", "key", "name"]
    list_select_related = ["run"]


@admin.register(Schedule)
class ScheduleAdmin(ReadOnly):
    list_display = [
        "run",
        "tunable",
        "shape",
        "asked",
        "asked_by",
        "created_at",
        "cancelled_at",
        "cancelled_by",
    ]
    list_filter = ["shape"]
    search_fields = ["=run__code", "tunable", "asked_by"]
    list_select_related = ["run"]


@admin.register(Command)
class CommandAdmin(ReadOnly):
    list_display = [
        "run",
        "seq",
        "verb",
        "tunable",
        "value",
        "state",
        "asked_by",
        "created_at",
        "applied_step",
        "message",
    ]
    list_filter = ["state", "verb", "by_person", "created_at"]
    search_fields = ["=run__code", "tunable", "asked_by", "reason"]
    list_select_related = ["run"]
    ordering = ["-id"]
    show_full_result_count = False


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
        from .jobs.submit import stop

        self.each(request, jobs, stop, "asked to stop")

    @admin.action(description="Requeue", permissions=["change"])
    def requeue(self, request, jobs):
        from .jobs.submit import requeue

        self.each(request, jobs, requeue, "queued again")

    def each(self, request, jobs, act, done: str) -> None:
        from .jobs.submit import JobRefused

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


class NewTokenForm(forms.ModelForm):
    class Meta:
        model = ApiToken
        fields = ["kind", "name", "user", "run", "node", "expires_at"]

    def clean(self):
        data = super().clean()
        kind = data.get("kind")
        owner = {
            TokenKind.USER: "user",
            TokenKind.LOGIN: "user",
            TokenKind.JOIN: "user",
            TokenKind.RUN: "run",
            TokenKind.NODE: "node",
        }.get(kind)
        for name in ("user", "run", "node"):
            if name == owner and not data.get(name):
                self.add_error(name, f"A {kind} token is for a {name}.")
            if name != owner and data.get(name):
                self.add_error(name, f"A {kind} token has no {name}.")
        if kind == TokenKind.LOGIN and not data.get("expires_at"):
            self.add_error("expires_at", "A login link must end: it opens the account to whoever has it.")
        if kind == TokenKind.JOIN:
            self.clean_invitation(data)
        return data

    def clean_invitation(self, data) -> None:
        end = data.get("expires_at")
        if not end or end > timezone.now() + LONGEST_LIFE:
            self.add_error(
                "expires_at",
                f"A join token must end, within {LONGEST_LIFE.days} days: it hands out the site's keys.",
            )
        if data.get("user") and not data["user"].is_superuser:
            self.add_error("user", "A join token is an administrator's.")
        try:
            addresses()
        except CannotJoin as error:
            self.add_error("kind", str(error))


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """The token itself is shown once, after it is made; the table has its hash alone."""

    form = NewTokenForm
    list_display = [
        "prefix",
        "kind",
        "name",
        "user",
        "run",
        "node",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = ["kind", ("revoked_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["=prefix", "name", "user__username", "=run__code", "node__name"]
    autocomplete_fields = ["user", "run", "node"]
    list_select_related = ["user", "run", "node"]
    actions = ["revoke"]

    def has_change_permission(self, request, obj=None) -> bool:
        return obj is None and super().has_change_permission(request, obj)  # the list and its actions

    def save_model(self, request, obj, form, change) -> None:
        fields = {name: form.cleaned_data[name] for name in ("name", "user", "run", "node", "expires_at")}
        made, plain = ApiToken.issue(form.cleaned_data["kind"], **fields)
        obj.pk, obj.hash, obj.prefix = made.pk, made.hash, made.prefix
        shown = f"/login/once/{plain}" if made.kind == TokenKind.LOGIN else plain
        self.message_user(request, f"Copy it now, it is not shown again: {shown}", messages.WARNING)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request, tokens):
        count = tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.message_user(request, f"Revoked {count}.")


@admin.register(ViewLink)
class ViewLinkAdmin(ReadOnly):
    """A link is shown once, to whoever makes it on the page, and is taken back there."""

    list_display = ("prefix", "view", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("view", "created_by")
    search_fields = ("=prefix", "view__name", "=view__code")


@admin.register(SavedView)
class SavedViewAdmin(admin.ModelAdmin):
    list_display = ("code", "name", "experiment", "owner", "shared", "updated_at", "deleted_at")
    list_filter = ("shared",)
    list_select_related = ("experiment__project", "owner")
    search_fields = ("code", "name", "experiment__name")
    readonly_fields = ("code", "experiment", "owner", "created_at", "updated_at", "deleted_at", "deleted_by")

    def has_add_permission(self, request) -> bool:
        return False  # it is what somebody saw
