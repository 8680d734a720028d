"""`scaleweb node` against the real site: what stands between a host and the site is said before the token is used."""

import socket
import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from scaleweb_sdk.cli import main, node
from training import joining
from training.models import ApiToken, TokenKind

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def token(live_site, settings, listener, monkeypatch):
    """A join token of a site whose database and broker are said to be at the listener."""
    monkeypatch.setattr(joining, "is_loopback", lambda host: False)
    port = listener.getsockname()[1]
    settings.NODE_DATABASE_URL = f"postgresql://u:pw@127.0.0.1:{port}/x"
    settings.NODE_REDIS_URL = f"redis://:pw@127.0.0.1:{port}/0"
    boss = get_user_model().objects.create_superuser("boss", password="x")
    return joining.invite(boss, "a host", timedelta(hours=1))[1]


def test_each_thing_in_the_way_is_said_and_costs_no_token(
    live_site, token, tmp_path, monkeypatch, capsys, listener
):
    def says(*words, url=live_site.url, key=token):
        code = main(["node", "join", url, key, "--home", str(tmp_path / "h"), "--no-start", *words])
        return code, capsys.readouterr().err

    assert "expected such as https://" in says(url="gpu-07")[1]
    assert "is not encrypted" in says(url="http://198.51.100.7:8000")[1]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "does not answer" in says(url=f"http://127.0.0.1:{closed.getsockname()[1]}")[1]
    # The address of a page, as it stands in the browser.
    assert "answers, but not as ScaleWeb does" in says(url=f"{live_site.url}/queue")[1]
    assert "is no join token" in says(key="sw_join_guess")[1]

    with monkeypatch.context() as changed:
        changed.setattr(node, "__version__", "0.0.9")
        assert "this host has version 0.0.9, the site 0.1.0" in says()[1]
    with monkeypatch.context() as changed:
        changed.setattr(node, "newest_migration", lambda folder: "0001_initial")
        assert "update this host" in says()[1]
    with monkeypatch.context() as changed:
        real = time.time
        changed.setattr(node.time, "time", lambda: real() + 90)
        assert "clock is 90 s ahead of the site's" in says()[1]
    (tmp_path / "file").touch()
    assert "cannot be written" in says("--home", str(tmp_path / "file"))[1]
    assert "letters, digits" in says("--name", "gpu 07")[1]
    listener.close()
    assert "SCALEWEB_NODE_DATABASE_URL" in says()[1]
    assert ApiToken.objects.get(kind=TokenKind.JOIN).last_used_at is None


def test_settings_are_kept_for_their_owner_alone_and_tried_before_the_worker_starts(
    live_site, token, tmp_path, monkeypatch, capsys, settings
):
    home = tmp_path / "h"
    listening = node.compare
    monkeypatch.setattr(node, "compare", lambda *all: (listening(*all), nobody_there(settings)))
    code = main(["node", "join", live_site.url, token, "--home", str(home), "--name", "gpu-07"])
    said = capsys.readouterr()
    assert code == 1
    assert "the database does not let this host in" in said.err
    assert f"scaleweb node start --home {home}" in said.err
    assert node.kept(home)["SCALEWEB_NODE"] == "gpu-07"
    assert node.kept(home)["SCALEWEB_URL"] == live_site.url
    assert (home / "node.env").stat().st_mode & 0o077 == 0


def nobody_there(settings):
    """The database goes away between the host's look and its first question."""
    settings.NODE_DATABASE_URL = "postgresql://u:pw@127.0.0.1:9/x"
