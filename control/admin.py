"""Decisions and settings for an operator: to read, search and filter; policies write them."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from monitoring.json_form import JsonField

from .guards import InvalidSetting
from .models import BeliefTally, ChangeEffect, ControllerSettings, Decision, TickLease
from .parameters import check_guards, check_policies
from .registry import available


class SettingsForm(forms.ModelForm):
    """Checks what the API checks: a figure that cannot be used would stop every tick of the experiment."""

    policies = JsonField()
    guards = JsonField()

    def clean_policies(self) -> dict[str, Any]:
        return usable(lambda given: check_policies(given, available()), self.cleaned_data["policies"])

    def clean_guards(self) -> dict[str, Any]:
        return usable(check_guards, self.cleaned_data["guards"])


def usable(check: Callable[[Any], dict[str, Any]], given: Any) -> dict[str, Any]:
    try:
        return check(given)
    except InvalidSetting as error:
        raise forms.ValidationError(f"{error.field} {error.message}.") from None


@admin.register(ControllerSettings)
class ControllerSettingsAdmin(admin.ModelAdmin):
    form = SettingsForm
    list_display = ["experiment", "mode", "changed_at", "changed_by", "problems"]
    list_filter = ["mode"]
    search_fields = ["experiment__name", "experiment__slug"]
    list_select_related = ["experiment__project", "changed_by"]
    autocomplete_fields = ["experiment"]
    readonly_fields = ["problems", "changed_at", "changed_by"]

    def get_readonly_fields(self, request, obj=None):
        return [*self.readonly_fields, "experiment"] if obj else self.readonly_fields

    actions = ["switch_off"]

    @admin.action(description="Switch the controller off", permissions=["change"])
    def switch_off(self, request, queryset):
        changed = queryset.update(mode="off", changed_by=request.user, changed_at=timezone.now())
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

    def has_delete_permission(self, request, obj=None):
        return False  # with its run, or not at all


@admin.register(BeliefTally)
class BeliefTallyAdmin(admin.ModelAdmin):
    """What verdicts taught. To forget something, delete it; to write it by hand, import a file."""

    list_display = ["policy", "action", "context", "better", "same", "worse", "mean", "changed_at"]
    list_filter = ["policy"]
    search_fields = ["policy", "action", "context"]

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


@admin.register(ChangeEffect)
class ChangeEffectAdmin(admin.ModelAdmin):
    """Read only: what came of a person's change is measured."""

    list_display = ["run", "command", "metric", "applied_step", "judge_at_step", "verdict", "judged_at"]
    list_filter = ["verdict"]
    search_fields = ["=run__code", "metric"]
    list_select_related = ["run", "command__run"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
