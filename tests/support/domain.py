"""Rows that tests begin with."""

from django.contrib.auth import get_user_model

from training.models import ApiToken, Experiment, Membership, Project, Role, Run, TokenKind


def a_user(name: str = "ada", **fields):
    return get_user_model().objects.create_user(name, password="x", **fields)


def a_member(project: Project, name: str = "ada", role: str = Role.OPERATOR):
    user = a_user(name)
    Membership.objects.create(project=project, user=user, role=role)
    return user


def a_project(slug: str = "vision") -> Project:
    return Project.objects.get_or_create(slug=slug, defaults={"name": slug.title()})[0]


def a_run(project: Project | None = None, state: str = "queued", **fields) -> Run:
    project = project or a_project()
    experiment = Experiment.objects.get_or_create(
        project=project, slug="digits", defaults={"name": "digits"}
    )[0]
    return Run.objects.create(experiment=experiment, name=fields.pop("name", "first"), state=state, **fields)


def a_run_token(run: Run) -> str:
    return ApiToken.issue(TokenKind.RUN, run=run)[1]
