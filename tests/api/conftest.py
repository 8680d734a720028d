"""People, projects and clients that the API's tests begin with."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from monitoring.models import Device, Node
from tests.support.domain import a_member, a_project, a_run, a_user
from training.models import Job, Role, Tunable


class Api(Client):
    """A logged-in client that speaks JSON and reads it."""

    def ask(self, method, path, body=None, **extra):
        call = getattr(self, method.lower())
        address = path if path.startswith("/") else f"/api/v1/{path}"
        if method == "GET":
            return call(address, body or {}, **extra)
        return call(address, body if body is not None else {}, content_type="application/json", **extra)


def client_of(user) -> Api:
    client = Api()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def project(db):
    return a_project()


@pytest.fixture
def run(project):
    run = a_run(project, state="running", process={"hostname": "h"}, actions=[{"name": "sample"}])
    Tunable.objects.create(
        run=run, name="lr", kind="float", value=1e-3, initial=1e-3, low=1e-6, high=1.0, scale="log"
    )
    return run


@pytest.fixture
def job(project):
    run = a_run(project, name="under a job")
    return Job.objects.create(run=run, argv=["python", "train.py"])


@pytest.fixture
def node(db):
    node = Node.objects.create(name="n1", hostname="host", latest={"cpu_utilisation_ratio": 0.5})
    Device.objects.create(node=node, kind="cpu", index=0, name="slot 0")
    Device.objects.create(node=node, kind="gpu", index=0, uuid="GPU-1", latest={"power_watts": 310.5})
    return node


@pytest.fixture
def viewer(project):
    return client_of(a_member(project, "vera", Role.VIEWER))


@pytest.fixture
def operator(project):
    return client_of(a_member(project, "olga", Role.OPERATOR))


@pytest.fixture
def project_admin(project):
    return client_of(a_member(project, "ada", Role.ADMIN))


@pytest.fixture
def outsider(db):
    return client_of(a_user("otto"))


@pytest.fixture
def root(db):
    return client_of(get_user_model().objects.create_superuser("root", password="x"))


@pytest.fixture
def anonymous(db):
    return Api()
