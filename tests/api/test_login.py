"""Getting in: the login page, the one-time link, passwords, and being locked out."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.support.domain import a_user
from training.models import ApiToken, TokenKind

pytestmark = pytest.mark.django_db(databases="__all__")


def link(user, **fields):
    _, plain = ApiToken.issue(TokenKind.LOGIN, user=user, **fields)
    return f"/login/once/{plain}"


def test_a_password_opens_the_page_that_was_asked_for():
    a_user("ada")
    client = Client(enforce_csrf_checks=True)
    page = client.get("/login?next=/runs/abc")
    token = page.cookies["csrftoken"].value
    body = {"username": "ada", "password": "x", "next": "/runs/abc", "csrfmiddlewaretoken": token}
    assert client.post("/login", body | {"password": "wrong"}).status_code == 200
    answer = client.post("/login", body)
    assert answer.status_code == 302
    assert answer["Location"] == "/runs/abc"
    assert client.post("/login", {"username": "ada", "password": "x"}).status_code == 403


def test_a_login_never_leads_to_another_site():
    a_user("ada")
    answer = Client().post("/login?next=https://evil.example/", {"username": "ada", "password": "x"})
    assert answer["Location"] == "/"


def test_a_login_link_works_once():
    address = link(a_user("ada"), expires_at=timezone.now() + timedelta(hours=1))
    first, second = Client(), Client()
    answer = first.get(address)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert first.get("/api/v1/me").json()["username"] == "ada"
    again = second.get(address)
    assert again.status_code == 410
    assert b"used already" in again.content
    assert second.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("wrong", ["expired", "inactive", "unknown", "other kind"])
def test_a_login_link_that_is_not_valid_says_so(wrong):
    user = a_user("ada", is_active=wrong != "inactive")
    past = timezone.now() - timedelta(seconds=1)
    address = link(user, expires_at=past if wrong == "expired" else None)
    if wrong == "unknown":
        address = "/login/once/nonsense%00"
    if wrong == "other kind":
        address = f"/login/once/{ApiToken.issue(TokenKind.USER, user=user)[1]}"
    client = Client()
    assert client.get(address).status_code == 410
    assert "_auth_user_id" not in client.session


def test_too_many_wrong_passwords_lock_the_door_for_a_while(settings):
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 3
    a_user("ada")
    client = Client()
    for _ in range(3):
        answer = client.post("/login", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 429
    assert b"Too many attempts" in answer.content
    assert client.post("/login", {"username": "ada", "password": "x"}).status_code == 429


def test_logging_out_ends_the_session():
    client = Client()
    client.force_login(a_user("ada"))
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 302
    assert client.get("/api/v1/me").status_code == 401


def test_a_person_changes_their_password():
    client = Client()
    client.force_login(a_user("ada"))
    short = {"old_password": "x", "new_password1": "1234", "new_password2": "1234"}
    assert b"too short" in client.post("/password", short).content
    good = {"old_password": "x", "new_password1": "gradient-descent-9", "new_password2": "gradient-descent-9"}
    assert client.post("/password", good)["Location"] == "/password/done"
    assert Client().login(username="ada", password="gradient-descent-9")
