"""Who may see and touch what: one place that knows the way from any object to its project.

A person without a role in the project is told that the object does not exist; with too low a role, that
the role does not suffice. Site-wide things (nodes, the queue's totals) need a login alone.
"""

from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404

from .models import ROLE_RANK, Experiment, Job, Membership, Project, Rank, Role, Run
from .states import LIVE

M = TypeVar("M", bound=Model)


def project_path(model: type[Model]) -> str:
    """The lookup from a model to its project: "" for Project, "run__experiment__project" for a Job.

    Models of the layers above need no entry: what has a run, job or experiment is in that one's project.
    Raises TypeError for a model that is in no project.
    """
    if model is Project:
        return ""
    if model is Experiment:
        return "project"
    fields = {field.name for field in model._meta.get_fields()}
    for name, rest in (
        ("experiment", "__project"),
        ("run", "__experiment__project"),
        ("job", "__run__experiment__project"),
        ("project", ""),
    ):
        if name in fields and not model._meta.get_field(name).auto_created:
            return name + rest
    raise TypeError(f"{model.__name__} is in no project")


def visible(queryset: QuerySet[M], user: Any) -> QuerySet[M]:
    """The rows in projects where the user has any role. A superuser sees all, an anonymous visitor none."""
    if not user.is_authenticated:
        return queryset.none()
    if user.is_superuser:
        return queryset
    path = project_path(queryset.model)
    # A subquery, not a join: a join would double rows for filters that join the members again.
    lookup = f"{path}__in" if path else "pk__in"
    return queryset.filter(**{lookup: Membership.objects.filter(user=user).values("project")})


def live_runs(user: Any) -> dict[str, str]:
    """{code: name} of the live runs that the user may see: what may be said of who is on a device."""
    return dict(visible(Run.objects.filter(state__in=LIVE), user).values_list("code", "name"))


def live_processes(user: Any) -> dict[tuple[str, int], str]:
    """{(host, process): code} of these runs, as their processes told it when they connected."""
    runs = visible(Run.objects.filter(state__in=LIVE), user)
    told = [*runs.values_list("process__hostname", "process__pid", "code")]
    told += Rank.objects.filter(run__in=runs).values_list("process__hostname", "process__pid", "run__code")
    return {(host, pid): code for host, pid, code in told if isinstance(host, str) and isinstance(pid, int)}


def project_of(thing: Model) -> Project:
    """The project a saved object is in; no query where the way there was selected along."""
    path = project_path(type(thing))
    found: Any = thing
    for name in path.split("__") if path else ():
        found = getattr(found, name)
    return found


def roles(user: Any) -> dict[int, str]:
    """The user's role by project id, in one query; a superuser is an admin of every project."""
    if user.is_superuser:
        return dict.fromkeys(Project.objects.values_list("pk", flat=True), Role.ADMIN.value)
    return dict(Membership.objects.filter(user=user).values_list("project_id", "role"))


def home_project(user: Any) -> Project | None:
    """Where something goes that names no project: `default`, else the only one the user may write to."""
    ranks = {pk for pk, role in roles(user).items() if ROLE_RANK[Role(role)] >= ROLE_RANK[Role.OPERATOR]}
    found = list(Project.objects.filter(pk__in=ranks).order_by("pk"))
    named = [project for project in found if project.slug == "default"]
    return named[0] if named else found[0] if len(found) == 1 else None


def check(user: Any, thing: Model, role: str) -> None:
    """Raise Http404 without any role in the object's project, PermissionDenied with too low a one."""
    project = project_of(thing)
    has = project.role_of(user) if user.is_authenticated else None
    if has is None:
        raise Http404(f"no such {thing._meta.verbose_name}")
    if ROLE_RANK[Role(has)] < ROLE_RANK[Role(role)]:
        raise PermissionDenied(
            f"this needs the role {Role(role).value} in project {project.slug}; yours is {Role(has).value}"
        )


def absent(model: type[Model], user: Any, lookup: dict[str, Any]) -> str:
    """That there is none, and what should have stood there: a run's code and its job's look alike."""
    name, code = model._meta.verbose_name, lookup.get("code")
    if not code:
        return f"no such {name}"
    words = f"there is no {name} {code}, or none that you may see"
    for other, its in ((Run, "job"), (Job, "run")):
        if model in {Run, Job} and other is not model:
            twin = getattr(visible(other.objects.filter(code=code), user).first(), its, None)
            if twin is not None:
                return (
                    f"{words}: that is the code of a {other._meta.verbose_name}, whose {its} is {twin.code}"
                )
    return f"{words}: expected a {name}'s code"


def fetch(queryset: QuerySet[M], user: Any, role: str, **lookup: Any) -> M:
    """The one object of the lookup, if the user has `role` or more in its project. Raises as `check` does."""
    if any("\x00" in value for value in lookup.values() if isinstance(value, str)):
        raise Http404(f"no such {queryset.model._meta.verbose_name}")
    thing = visible(queryset, user).filter(**lookup).first()
    if thing is None:
        raise Http404(absent(queryset.model, user, lookup))
    check(user, thing, role)
    return thing
