"""A project's quotas over REST."""

import pytest

from monitoring import nodes
from tests.api.conftest import client_of
from tests.support.domain import a_project, a_user
from training.models import Quota


@pytest.fixture
def admin(db):
    return client_of(a_user("root", is_superuser=True))


def test_a_quota_is_set_read_changed_and_taken_away(admin, viewer, project):
    address = f"projects/{project.slug}/quotas"
    assert viewer.ask("GET", address).json() == {"quotas": []}
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "gpu", "index": index} for index in range(4)])
    answer = admin.ask("PUT", address, {"kind": "gpu", "devices": 4})
    four = {"kind": "gpu", "devices": 4, "borrow": None, "used": 0, "beyond": ""}
    assert answer.json() == {"quotas": [four]}
    admin.ask("PUT", address, {"kind": "gpu", "devices": 2, "borrow": 0})
    assert viewer.ask("GET", address).json()["quotas"] == [
        {"kind": "gpu", "devices": 2, "borrow": 0, "used": 0, "beyond": ""}
    ]
    assert admin.ask("DELETE", address, {"kind": "gpu"}).json() == {"quotas": []}
    assert not Quota.objects.exists()


def test_more_than_there_is_may_be_promised_and_is_said(admin, project):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": index} for index in range(4)])

    def beyond(slug, count, kind="cpu"):
        answer = admin.ask("PUT", f"projects/{slug}/quotas", {"kind": kind, "devices": count})
        assert answer.status_code == 200
        return {one["kind"]: one["beyond"] for one in answer.json()["quotas"]}[kind]

    assert beyond(project.slug, 200) == "200 CPU slots are more than the 4 there are, until more nodes join"
    assert beyond(project.slug, 1, "gpu") == "1 GPU is more than the 0 there are, until more nodes join"
    assert beyond(project.slug, 3) == ""
    assert beyond(a_project("speech").slug, 2).startswith(
        "all projects' quotas together are 5 CPU slots, and there are 4"
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "tpu", "devices": 1}, "kind"),
        ({"kind": "gpu", "devices": -1}, "devices"),
        ({"kind": "gpu"}, "devices"),
        ({"kind": "gpu", "devices": 1, "borrow": "2"}, "borrow"),
        ({"kind": "gpu", "devices": 1, "limit": 2}, "limit"),
    ],
)
def test_what_is_no_quota_is_refused_with_the_fields_name(admin, project, body, field):
    answer = admin.ask("PUT", f"projects/{project.slug}/quotas", body)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]
