"""Runs, what they log and keep, and what is asked of them."""

from django import forms
from django.contrib import admin, messages
from rest_framework import serializers

from monitoring.admin import ReadOnly
from monitoring.json_form import ListField
from training import pinning, states
from training.api.run_serializers import TagList
from training.commands import CommandRefused, issue
from training.deleting import delete_run
from training.models import Checkpoint, Command, Media, Run, RunEvent, Schedule, Tunable

from .deleting import DeletesWithSeries


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
