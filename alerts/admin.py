"""Alerts for an operator of the site: rules and channels to change, alerts and deliveries to read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from monitoring.json_form import JsonField

from .conditions import CONDITIONS, BadParameters, parameters_of
from .models import Alert, Channel, Delivery, Rule
from .rules import changed, remove, restore, watched
from .sending import webhook


class RuleForm(forms.ModelForm):
    condition = forms.ChoiceField(choices=[(kind.name, kind.title) for kind in CONDITIONS.values()])
    parameters = JsonField(required=False)

    def clean(self) -> Any:
        data = super().clean() or {}
        try:
            parameters_of(data.get("condition", ""), data.get("parameters") or {})
        except BadParameters as error:
            raise forms.ValidationError({"parameters": f"{error}."}) from None
        return data


@admin.register(Rule)
class RuleAdmin(admin.ModelAdmin):
    form = RuleForm
    list_display = [
        "name",
        "condition",
        "severity",
        "project",
        "experiment",
        "enabled",
        "looked_until",
        "problem",
        "removed_at",
    ]
    list_filter = ["condition", "severity", "enabled", ("removed_at", admin.EmptyFieldListFilter)]
    search_fields = ["name"]
    list_select_related = ["project", "experiment__project"]
    autocomplete_fields = ["experiment"]
    readonly_fields = ["looked_until", "problem", "created_by", "created_at", "removed_at"]
    actions = ["switch_off", "bring_back"]

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """What the page that asks before it deletes tells: the rules alone, for their alerts stay."""
        rules = [
            f"Rule: {rule}. Its past alerts stay, and the list of rules brings it back." for rule in objs
        ]
        return rules, {"rules": len(rules)}, set(), []

    def delete_model(self, request: Any, obj: Any) -> None:
        remove(obj)

    def delete_queryset(self, request: Any, queryset: Any) -> None:
        for rule in queryset:
            remove(rule)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: Any, queryset: Any) -> None:
        on = list(queryset.filter(enabled=True))
        for rule in on:
            before = watched(rule)
            rule.enabled = False
            rule.save(update_fields=["enabled"])
            changed(rule, before)
        self.message_user(request, f"{len(on)} rules switched off")

    @admin.action(description="Bring back what was removed", permissions=["change"])
    def bring_back(self, request: Any, queryset: Any) -> None:
        self.message_user(request, f"{sum(restore(rule) for rule in queryset)} rules brought back")

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
            super().save_model(request, obj, form, change)
            return
        before = watched(Rule.objects.get(pk=obj.pk))
        super().save_model(request, obj, form, change)
        changed(obj, before)


class ChannelForm(forms.ModelForm):
    def clean(self) -> Any:
        data = super().clean() or {}
        if data.get("kind") == Channel.Kind.WEBHOOK:
            try:
                webhook.check(data.get("target", ""))
            except webhook.Refused as error:
                raise forms.ValidationError({"target": f"{error}."}) from None
        return data


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin):
    form = ChannelForm
    list_display = ["name", "kind", "project", "enabled", "created_at"]
    list_filter = ["kind", "enabled"]
    search_fields = ["name"]
    list_select_related = ["project"]
    readonly_fields = ["created_by", "created_at"]


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = [
        "id",
        "rule",
        "label",
        "message",
        "started_at",
        "resolved_at",
        "end_reason",
        "acknowledged_by",
    ]
    list_filter = ["rule__severity", "rule__condition"]
    search_fields = ["label", "subject", "message"]
    list_select_related = ["rule", "acknowledged_by"]
    date_hierarchy = "fired_at"
    actions = ["acknowledge"]

    @admin.action(description="Acknowledge", permissions=["view"])
    def acknowledge(self, request: Any, queryset: Any) -> None:
        if not request.user.has_perm("alerts.change_alert"):
            self.message_user(request, "this needs the permission to change alerts", "ERROR")
            return
        open_ = queryset.filter(acknowledged_at=None)
        changed = open_.update(acknowledged_at=timezone.now(), acknowledged_by=request.user)
        self.message_user(request, f"{changed} alerts acknowledged")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["id", "channel", "event", "state", "tries", "next_at", "sent_at", "error"]
    list_filter = ["state", "event", "channel"]
    list_select_related = ["channel"]
