"""Getting in: the login page, the one-time link, passwords, and being locked out."""

import re
from datetime import timedelta
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from scaleweb.errors import Away
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


def test_a_program_that_looks_at_a_login_link_does_not_use_it_up():
    address = link(a_user("ada"), expires_at=timezone.now() + timedelta(hours=1))
    assert Client().head(address).status_code == 405
    assert Client().options(address).status_code == 405
    client = Client()
    assert client.get(address).status_code == 302
    assert client.get("/api/v1/me").status_code == 200


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


@pytest.mark.parametrize("varied", ["name", "address"])
def test_guessing_over_many_names_or_from_many_addresses_is_locked_too(settings, varied):
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 2  # twenty for a name or an address alone
    a_user("ada")
    codes = [
        Client()
        .post(
            "/login",
            {"username": f"n{number}" if varied == "name" else "ada", "password": "wrong"},
            REMOTE_ADDR=f"10.0.0.{number}" if varied == "address" else "10.0.0.1",
        )
        .status_code
        for number in range(21)
    ]
    assert codes == [200] * 19 + [429] * 2
    right = {"username": "ada", "password": "x"}
    assert Client().post("/login", right, REMOTE_ADDR="10.0.0.1").status_code == 429
    away = Client().post("/login", right, REMOTE_ADDR="10.0.9.9").status_code
    assert away == (302 if varied == "name" else 429)


def test_the_admins_own_login_is_locked_as_well(settings):
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        answer = Client().post("/admin/login/", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 429


@pytest.mark.parametrize("name", ["a\x00b", "x" * 100_000, "🎉" * 200, "'; DROP TABLE auth_user; --"])
def test_an_odd_name_is_a_wrong_name(settings, name):
    settings.AXES_ENABLED = True
    assert Client().post("/login", {"username": name, "password": name}).status_code == 200


def test_a_caller_does_not_choose_its_address(monkeypatch):
    """Only where a proxy ends TLS is its word on addresses taken; else each guess could come from a new one."""
    from scaleweb.stack.stack import forwarded

    monkeypatch.delenv("SCALEWEB_URL", raising=False)
    assert forwarded() == ["--no-proxy-headers"]
    monkeypatch.setenv("SCALEWEB_URL", "http://127.0.0.1:8000")
    assert forwarded() == ["--no-proxy-headers"]
    monkeypatch.setenv("SCALEWEB_URL", "https://scaleweb.example.org")
    assert forwarded() == ["--proxy-headers"]


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


CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.8"}


def test_who_reads_chinese_logs_in_and_is_told_of_errors_in_chinese():
    a_user("ada")
    client = Client(**CHINESE)
    page = client.get("/login")
    assert page["Content-Language"] == "zh-hans"
    text = page.content.decode()
    for words in ('<html lang="zh-hans">', "<h1>登录</h1>", "用户名", "密码", "没有账户？"):
        assert words in text, text
    wrong = client.post("/login", {"username": "ada", "password": "wrong"}).content.decode()
    assert "请输入一个正确的用户名和密码" in wrong, wrong
    missing = client.get("/nothing")
    assert missing.status_code == 404
    assert "/nothing 处没有任何内容。" in missing.content.decode()
    assert "此链接已被使用" in client.get("/login/once/nonsense").content.decode()
    client.force_login(a_user("root", is_superuser=True, is_staff=True))
    assert "站点管理" in client.get("/admin/").content.decode()


def test_a_language_that_was_chosen_in_settings_comes_before_the_browser_s():
    client = Client(HTTP_ACCEPT_LANGUAGE="de,en;q=0.5")
    assert "<h1>Log in</h1>" in client.get("/login").content.decode()
    client.cookies["scaleweb_language"] = "zh-hans"
    assert "<h1>登录</h1>" in client.get("/login").content.decode()
    client.cookies["scaleweb_language"] = "tlhingan"
    assert "<h1>Log in</h1>" in client.get("/login").content.decode()


def test_programs_are_answered_in_english_after_a_chinese_page():
    client = Client(**CHINESE)
    client.get("/login")
    assert client.get("/api/v1/me").json()["detail"] == "Authentication credentials were not provided."
    client.force_login(a_user("ada"))
    refused = client.post("/api/v1/tokens", {"name": ""}, content_type="application/json").json()
    assert refused["fields"] == {"name": ["This field may not be blank."]}


def test_every_sentence_of_these_pages_has_its_chinese():
    top = Path(settings.BASE_DIR) / "scaleweb"
    said = {Away.default_detail}
    for template in (top / "templates/scaleweb").glob("*.html"):
        text = template.read_text()
        said |= set(re.findall(r'{% translate "(.*?)" %}', text))
        said |= set(re.findall(r"{% blocktranslate %}(.*?){% endblocktranslate %}", text, re.DOTALL))
    for source in (top / "errors.py", top / "views.py"):
        said |= set(re.findall(r'\b_\(\s*"(.*?)"\s*\)', source.read_text()))
    folder = top / "locale/zh_Hans/LC_MESSAGES"
    written = dict(
        re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', (folder / "django.po").read_text(), re.MULTILINE)
    )
    assert said == set(written)
    with (folder / "django.mo").open("rb") as compiled:
        built = GNUTranslations(compiled)
    assert {each: built.gettext(each) for each in written} == written, "run msgfmt, see the head of django.po"
