"""Tokens: made here for people, runs, nodes and hosts that join, shown once, and revoked."""

from django import forms
from django.contrib import admin, messages
from django.utils import timezone

from training.joining import LONGEST_LIFE, CannotJoin, addresses
from training.models import ApiToken, TokenKind


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
