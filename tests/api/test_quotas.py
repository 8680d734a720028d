"""A project's quotas over REST."""

import pytest

from tests.api.conftest import client_of
from tests.support.domain import a_user
from training.models import Quota


@pytest.fixture
def admin(db):
    return client_of(a_user("root", is_superuser=True))


def test_a_quota_is_set_read_changed_and_taken_away(admin, viewer, project):
    address = f"projects/{project.slug}/quotas"
    assert viewer.ask("GET", address).json() == {"quotas": []}
    answer = admin.ask("PUT", address, {"kind": "gpu", "devices": 4})
    assert answer.json() == {"quotas": [{"kind": "gpu", "devices": 4, "borrow": None, "used": 0}]}
    admin.ask("PUT", address, {"kind": "gpu", "devices": 2, "borrow": 0})
    assert viewer.ask("GET", address).json()["quotas"] == [
        {"kind": "gpu", "devices": 2, "borrow": 0, "used": 0}
    ]
    assert admin.ask("DELETE", address, {"kind": "gpu"}).json() == {"quotas": []}
    assert not Quota.objects.exists()


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
