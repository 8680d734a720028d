"""Saved views, and links to them."""

from django.contrib import admin

from monitoring.admin import ReadOnly
from training.models import SavedView, ViewLink


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
