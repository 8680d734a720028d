"""The front end's door, static files, and the headers that every answer carries."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from scaleweb import views
from tests.support.domain import a_user

DIST = Path(__file__).parents[2] / "frontend/dist"
pytestmark = pytest.mark.django_db(databases="__all__")
PAGES = [
    "/", "/experiments/7", "/runs/abc", "/compare?runs=a,b", "/nodes", "/nodes/n%201", "/queue", "/submit", "/settings",
]  # fmt: skip
ANSWERS = [
    "/login",
    "/",
    "/api/v1/me",
    "/api/docs/",
    "/admin/login/",
    "/nowhere",
    "/static/scaleweb/login.css",
]


@pytest.fixture
def built(tmp_path, monkeypatch):
    index = tmp_path / "index.html"
    index.write_text("<!doctype html><title>one</title>")
    monkeypatch.setattr(views, "INDEX", index)
    return index


@pytest.fixture
def ada():
    client = Client()
    client.force_login(a_user("ada"))
    return client


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_the_front_end_for_who_is_logged_in(built, ada, address):
    answer = ada.get(address)
    assert answer.status_code == 200
    assert answer.content == built.read_bytes()
    assert answer.cookies["csrftoken"].value
    assert "no-cache" in answer["Cache-Control"]


def test_a_rebuilt_front_end_is_served_without_a_restart(built, ada):
    ada.get("/")
    built.write_text("<!doctype html><title>two</title>")
    assert b"two" in ada.get("/").content


def test_without_a_build_the_page_says_what_to_do(built, ada):
    built.unlink()
    answer = ada.get("/")
    assert answer.status_code == 503
    assert b"make front" in answer.content


def test_an_unknown_page_is_not_found(ada):
    answer = ada.get("/nowhere")
    assert answer.status_code == 404
    assert b"nothing at /nowhere" in answer.content


def test_a_failure_says_its_number_and_nothing_else(ada, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(views, "page", broken)
    ada.raise_request_exception = False
    answer = ada.get("/")
    assert answer.status_code == 500
    assert b"secret detail" not in answer.content
    number = caplog.text.split("request ")[1].split(":")[0]
    assert number.encode() in answer.content
    assert "secret detail" in caplog.text


def test_an_api_failure_is_json(ada, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("training.access.roles", broken)
    monkeypatch.setattr("training.access.visible", broken)
    ada.raise_request_exception = False
    answer = ada.get("/api/v1/me")
    assert answer.status_code == 500
    assert set(answer.json()) == {"detail", "fields"}
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize("address", ANSWERS)
def test_every_answer_is_guarded_by_headers(ada, address):
    answer = ada.get(address)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("address", ["/", "/static/scaleweb/login.css", "/api/v1/me", "/healthz", "/nowhere"])
def test_another_host_is_refused_under_the_same_headers(ada, address):
    answer = ada.get(address, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_a_failure_is_guarded_by_headers_too(ada, monkeypatch):
    monkeypatch.setattr(views, "page", lambda *_: 1 / 0)
    ada.raise_request_exception = False
    answer = ada.get("/")
    assert answer.status_code == 500
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_pages_of_ours_have_nothing_inline(ada):
    for address in ("/login", "/password", "/api/docs/", "/nowhere"):
        text = (Client() if address == "/login" else ada).get(address).content.decode()
        assert "<style" not in text
        assert "style=" not in text
        assert "<script>" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")


def test_cookies_are_flagged_and_tls_is_insisted_on_behind_https(ada):
    cookie = Client().post("/login", {"username": "ada", "password": "x"}).cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    with override_settings(SECURE_HSTS_SECONDS=31_536_000):
        assert Client().get("/login", secure=True)["Strict-Transport-Security"] == "max-age=31536000"


def test_only_leaving_takes_the_session_s_cookie_away(ada):
    """What was asked in the session that is over may be answered after the person has logged in again elsewhere."""
    client = Client()
    client.cookies["sessionid"] = "one-that-is-over"
    assert "sessionid" not in client.get("/api/v1/me").cookies
    refused = client.post("/api/v1/tokens", {"name": "x"}, content_type="application/json")
    assert (refused.status_code, "sessionid" in refused.cookies) == (401, False)
    changed = Client()
    changed.force_login(a_user("eve"))
    user = get_user_model().objects.get(username="eve")
    user.set_password("another")
    user.save()
    assert (
        "sessionid"
        not in changed.post("/api/v1/tokens", {"name": "x"}, content_type="application/json").cookies
    )
    assert ada.post("/logout").cookies["sessionid"].value == ""


def test_static_files_are_served_from_where_they_lie():
    client = Client()
    css = client.get("/static/scaleweb/login.css")
    assert css.status_code == 200
    assert css["Content-Type"].startswith("text/css")
    assert client.get("/static/admin/css/base.css").status_code == 200
    assert client.get("/static/../scaleweb/settings.py").status_code == 404
    assert client.get("/static/scaleweb/%2e%2e/%2e%2e/settings.py").status_code == 404
    for odd in (
        "%00",
        "app/%00.js",
        "scaleweb",
        "scaleweb/",
        "app//assets",
        "x" * 5000,
        "app/assets/gone-12345678.js",
    ):
        assert client.get(f"/static/{odd}").status_code == 404, odd
    same = client.get("/static/scaleweb/login.css", headers={"If-Modified-Since": css["Last-Modified"]})
    assert same.status_code == 304


def test_files_named_by_their_content_are_kept_for_ever(settings):
    from whitenoise.base import WhiteNoise

    noise = WhiteNoise(None, immutable_file_test=settings.WHITENOISE_IMMUTABLE_FILE_TEST)
    assert noise.immutable_file_test("", "/static/app/assets/index-DwR3x_0a.js")
    assert not noise.immutable_file_test("", "/static/app/theme.js")


def test_text_goes_out_in_gzip_to_who_takes_it_and_is_asked_for_once():
    client = Client()
    script = next(path for path in (DIST / "assets").glob("site-*.js"))
    address = f"/static/app/assets/{script.name}"
    plain = client.get(address)
    assert "Content-Encoding" not in plain
    small = client.get(address, headers={"accept-encoding": "gzip, br"})
    assert small["Content-Encoding"] == "gzip"
    assert small["Vary"] == "Accept-Encoding"
    assert int(small["Content-Length"]) == len(small.content) < len(plain.content) / 2
    assert gzip.decompress(small.content) == plain.content == script.read_bytes()
    again = client.get(address, headers={"accept-encoding": "gzip", "if-none-match": small["ETag"]})
    assert again.status_code == 304
    assert small["ETag"] != plain["ETag"]


def scripts_of(page: str) -> set[str]:
    """Files that a page's own file and the site's start import, and what these import."""
    wanted = re.findall(r"assets/([\w.-]+\.js)", (DIST / "index.html").read_text())
    wanted += [path.name for path in (DIST / "assets").glob(f"{page}-*.js")]
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += re.findall(
                r"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""", (DIST / "assets" / name).read_text()
            )
    return found


@pytest.mark.parametrize("page", ["Overview", "Experiment", "Run", "Compare", "Nodes", "Queue", "Submit"])
def test_the_scripts_of_a_page_are_under_150_kib_on_the_wire(page):
    scripts = scripts_of(page)
    assert any(name.startswith("site-") for name in scripts)
    assert sum(len(gzip.compress((DIST / "assets" / name).read_bytes(), 9)) for name in scripts) < 150 * 1024
