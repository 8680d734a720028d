"""Join tokens: made by administrators alone, good for one host, once, and never without what another host needs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.models import Node
from training.models import ApiToken, TokenKind

pytestmark = pytest.mark.django_db(databases="__all__")
DATABASE, BROKER = "postgresql://scaleweb:pw@10.0.0.5/scaleweb", "rediss://:pw@10.0.0.5:6380/0"


@pytest.fixture
def many_hosts(settings):
    settings.NODE_DATABASE_URL, settings.NODE_REDIS_URL = DATABASE, BROKER


@pytest.fixture
def token(many_hosts, root):
    return root.ask("POST", "invitations", {"name": "rack 2"}).json()["token"]


def knock(client, method, token, body=None):
    return client.ask(method, "join", body, headers={"Authorization": f"Bearer {token}"})


def comes_in(client, token, node="gpu-07"):
    return knock(client, "POST", token, {"node": node, "hostname": "host-7"})


def test_a_host_looks_before_it_joins_and_is_given_the_addresses_once(anonymous, root, token):
    site = knock(anonymous, "GET", token).json()
    assert site["needs"] == [
        {"what": "database", "host": "10.0.0.5", "port": 5432},
        {"what": "broker", "host": "10.0.0.5", "port": 6380},
    ]
    assert site["tables"]["training"] >= "0012"
    assert "pw" not in str(site)
    given = comes_in(anonymous, token).json()["environment"]
    assert (given["DATABASE_URL"], given["REDIS_URL"], given["SCALEWEB_NODE"]) == (DATABASE, BROKER, "gpu-07")
    assert "SCALEWEB_SECRET_KEY" not in given  # it signs sessions, which a node never sees
    again = comes_in(anonymous, token, "gpu-08")
    assert again.status_code == 401
    assert "was used at" in again.json()["detail"]
    assert root.ask("GET", "invitations").json()["results"] == []
    assert "gpu-07 on host-7" in ApiToken.objects.get(kind=TokenKind.JOIN).name


def test_an_open_token_is_listed_and_taken_back(anonymous, root, token):
    (row,) = root.ask("GET", "invitations").json()["results"]
    assert (row["name"], row["made_by"]) == ("rack 2", "root")
    assert "token" not in row
    assert root.ask("DELETE", f"invitations/{row['id']}").status_code == 204
    assert "was taken back at" in comes_in(anonymous, token).json()["detail"]


def test_an_old_an_unknown_and_another_kind_of_token_are_told_apart(anonymous, viewer, root, token, node):
    ApiToken.objects.filter(kind=TokenKind.JOIN).update(expires_at=timezone.now() - timedelta(minutes=1))
    assert "expired at" in comes_in(anonymous, token).json()["detail"]
    assert "no join token of this site" in comes_in(anonymous, "sw_join_guess").json()["detail"]
    of_node = ApiToken.issue(TokenKind.NODE, node=node)[1]
    assert comes_in(anonymous, of_node).status_code == 401
    assert viewer.ask("GET", "join").status_code in {401, 403}  # a login is no invitation


def test_a_token_of_somebody_who_is_no_administrator_any_more_is_worth_nothing(
    anonymous, token, django_user_model
):
    django_user_model.objects.filter(username="root").update(is_superuser=False)
    assert "no administrator any more" in comes_in(anonymous, token).json()["detail"]


def test_a_join_token_opens_nothing_else(anonymous, token):
    for address in ("me", "nodes", "runs", "invitations"):
        assert knock(anonymous, "GET", token).status_code == 200
        answer = anonymous.ask("GET", address, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, address


@pytest.mark.parametrize(("name", "word"), [("gpu 07", "letters"), ("../x", "letters"), ("", "blank")])
def test_a_name_that_no_queue_can_have_is_refused_and_the_token_stays_good(anonymous, token, name, word):
    answer = comes_in(anonymous, token, name)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert comes_in(anonymous, token).status_code == 200


def test_the_name_of_a_live_node_is_refused_and_that_of_a_lost_one_is_taken(anonymous, token, node):
    answer = comes_in(anonymous, token, node.name)
    assert answer.status_code == 400
    assert "n1 is online (host host)" in answer.json()["fields"]["node"][0]
    Node.objects.update(state=Node.State.LOST)
    assert comes_in(anonymous, token, node.name).status_code == 200


@pytest.mark.parametrize(
    ("database", "broker", "words"),
    [
        ("", "", "a file on this machine"),
        (DATABASE, "unix:///run/broker.sock", "a socket of this machine"),
        ("postgresql://u:p@127.0.0.1/x", BROKER, "SCALEWEB_NODE_DATABASE_URL"),
        (DATABASE, "redis://localhost:6379/0", "SCALEWEB_NODE_REDIS_URL"),
    ],
)
def test_a_site_that_no_other_host_could_use_invites_nobody(settings, root, database, broker, words):
    settings.NODE_DATABASE_URL, settings.NODE_REDIS_URL = database, broker
    answer = root.ask("POST", "invitations", {})
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("minutes", [0, 10_081, "60"])
def test_a_token_ends_within_a_week(many_hosts, root, minutes):
    assert root.ask("POST", "invitations", {"expires_in_minutes": minutes}).status_code == 400
