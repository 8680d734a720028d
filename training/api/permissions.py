"""Roles at the API's door."""

from typing import Any

from django.db.models import Model
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from training import access
from training.models import Role


class ProjectRole(IsAuthenticated):
    """A role in the object's project: viewer to read, operator to write, or what the view states.

    A view states other roles as `read_role` and `write_role`. Querysets are narrowed by `ProjectScoped`;
    views that fetch by hand call `training.access.fetch` with the same roles.
    """

    def has_object_permission(self, request, view, thing: Model) -> bool:
        access.check(request.user, thing, needed_role(request, view))
        return True


def needed_role(request: Any, view: Any) -> str:
    if request.method in SAFE_METHODS:
        return getattr(view, "read_role", Role.VIEWER)
    return getattr(view, "write_role", Role.OPERATOR)


class ProjectScoped:
    """Mixin for generic views: rows of the caller's projects alone, and a role for each object."""

    permission_classes = [ProjectRole]
    request: Request

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)
