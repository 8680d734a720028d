"""Projects with their members and quotas, and experiments."""

from django.contrib import admin, messages

from training.deleting import delete_experiment, delete_project
from training.models import Experiment, Membership, Project, Quota
from training.quotas import beyond

from .deleting import DeletesWithSeries


class Members(admin.TabularInline):
    model = Membership
    extra = 1
    autocomplete_fields = ["user"]


class Quotas(admin.TabularInline):
    model = Quota
    extra = 0
    max_num = 2  # one a kind of device


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
