"""Decisions and settings for an operator: to read, search and filter; policies write them."""

from django.contrib import admin

from .models import ControllerSettings, Decision, TickLease


@admin.register(ControllerSettings)
class ControllerSettingsAdmin(admin.ModelAdmin):
    list_display = ["experiment", "mode", "changed_at", "changed_by", "problems"]
    list_filter = ["mode"]
    search_fields = ["experiment__name", "experiment__slug"]
    list_select_related = ["experiment__project", "changed_by"]
    raw_id_fields = ["experiment"]
    readonly_fields = ["problems", "changed_at", "changed_by"]
    actions = ["switch_off"]

    @admin.action(description="Switch the controller off")
    def switch_off(self, request, queryset):
        changed = queryset.update(mode="off", changed_by=request.user)
        self.message_user(request, f"{changed} controllers switched off")

    def save_model(self, request, obj, form, change):
        obj.changed_by = request.user
        super().save_model(request, obj, form, change)


@admin.register(Decision)
class DecisionAdmin(admin.ModelAdmin):
    """Read only: a decision is what happened."""

    list_display = [
        "id", "run", "policy", "state", "verdict", "tunable", "old_value", "new_value", "decided_step",
        "created_at",
    ]  # fmt: skip
    list_filter = ["state", "verdict", "policy", "mode", "verb", "urgent"]
    search_fields = ["run__code", "run__name", "reason", "blocked_by"]
    list_select_related = ["run"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(TickLease)
class TickLeaseAdmin(admin.ModelAdmin):
    """A tick that died holds its lease for a minute at most; deleting the row frees it at once."""

    list_display = ["name", "holder", "until"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
