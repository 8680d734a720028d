"""The caller's roles, looked up once a request."""

from typing import Any

from training import access


def role_in(request: Any, project_id: int) -> str:
    """The caller's role in a project, "" for none."""
    known = getattr(request, "project_roles", None)
    if known is None:
        known = request.project_roles = access.roles(request.user)
    if project_id not in known:
        # Made by this very request.
        known = request.project_roles = access.roles(request.user)
    return known.get(project_id, "")
