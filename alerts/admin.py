"""Alerts for an operator of the site: rules and channels to change, alerts and deliveries to read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from monitoring.json_form import JsonField

from .conditions import CONDITIONS, BadParameters, parameters_of
from .models import Alert, Channel, Delivery, Rule
from .sending import webhook
from .tick import close_all


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
    ]
    list_filter = ["condition", "severity", "enabled"]
    search_fields = ["name"]
    list_select_related = ["project", "experiment__project"]
    autocomplete_fields = ["experiment"]
    readonly_fields = ["looked_until", "problem", "created_by", "created_at"]
    actions = ["switch_off"]

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: Any, queryset: Any) -> None:
        for rule in queryset:
            close_all(rule)
        self.message_user(request, f"{queryset.update(enabled=False)} rules switched off")

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
        if change and form.changed_data:
            close_all(obj)


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
    list_display = ["id", "rule", "label", "message", "started_at", "resolved_at", "acknowledged_by"]
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
