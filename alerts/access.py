"""Who may see and change alerts: a project's are its members', the site's are to be seen by all who log in.

An alert of a site-wide rule about a run shows to the members of that run's project alone.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404

from training import access
from training.models import Membership, Project, Role


def visible(rows: QuerySet, user: Any) -> QuerySet:
    """Rows of no project, and of those the user has a role in."""
    if not user.is_authenticated:
        return rows.none()
    if user.is_superuser:
        return rows
    own = Membership.objects.filter(user=user).values("project")
    return rows.filter(Q(project=None) | Q(project__in=own))


def check(user: Any, project: Project | None, role: str = Role.OPERATOR) -> None:
    """Raise unless the user may change what is the project's, or, without one, the whole site's."""
    if project is not None:
        access.check(user, project, role)
    elif not user.is_superuser:
        raise PermissionDenied("this is the whole site's: it needs a site administrator")


def fetch(rows: QuerySet, user: Any, pk: int) -> Any:
    found = visible(rows, user).filter(pk=pk).first()
    if found is None:
        raise Http404(f"no such {rows.model._meta.verbose_name}")
    return found
