"""Media over REST: sent in pieces, listed, read with ranges, never executed, gone with the run."""

import hashlib
import time

import pytest
from django.test import Client

from monitoring.storage import series
from tests.support.domain import a_member, a_project, a_run
from tests.support.media import PNG, Sender
from training.deleting import delete_run
from training.media import files, retention
from training.models import Media, Role

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def disk(settings, tmp_path):
    settings.MEDIA_DIR = tmp_path / "media"


@pytest.fixture
def run():
    return a_run(a_project(), state="running")


@pytest.fixture
def sender(run):
    return Sender(run)


@pytest.fixture
def viewer(run):
    client = Client()
    client.force_login(a_member(run.experiment.project, "vera", Role.VIEWER))
    return client


def listed(viewer, run, **query):
    return viewer.get(f"/api/v1/runs/{run.code}/media", query).json()["results"]


def file_of(viewer, run, row, query="", **headers):
    return viewer.get(f"/api/v1/runs/{run.code}/media/{row['id']}/file{query}", headers=headers)


def test_an_image_is_stored_once_however_often_it_is_sent_and_read_as_what_it_is(run, sender, viewer):
    for _ in range(2):
        assert sender.send(PNG, caption="a cat", data={"width": 1, "height": 1}).json() == {
            "taken": 1,
            "refused": {},
        }
    (row,) = listed(viewer, run, key="sample")
    assert (row["kind"], row["step"], row["caption"], row["size_bytes"]) == ("image", 3, "a cat", len(PNG))
    answer = file_of(viewer, run, row)
    assert b"".join(answer) == PNG
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert file_of(viewer, run, row, **{"If-None-Match": answer["ETag"]}).status_code == 304
    (key,) = viewer.get(f"/api/v1/runs/{run.code}/media/keys").json()["results"]
    assert key == {
        "key": "sample",
        "kind": "image",
        "count": 1,
        "first_step": 3,
        "last_step": 3,
        "size_bytes": len(PNG),
    }


def test_a_file_in_pieces_goes_on_where_a_broken_connection_left_it(run, sender):
    body = b"x" * 1000
    assert sender.piece(body, 0, body[:400]).json() == {"have": 400, "whole": False}
    assert sender.piece(body, 0, body[:400]).json() == {"have": 400, "whole": False}
    assert sender.piece(body, 700, body[700:]).json() == {"have": 400, "whole": False}
    assert sender.piece(body, 400, body[400:]).json() == {"have": 1000, "whole": True}
    assert sender.piece(body).json() == {"have": 1000, "whole": True}
    assert sender.items({"kind": "file", "sha256": hashlib.sha256(body[:400]).hexdigest()}).json()[
        "refused"
    ] == {"s-0": "sample at step 3: its bytes never came whole"}


def test_bytes_that_are_not_what_their_hash_says_are_refused_and_not_kept(run, sender):
    answer = sender.piece(b"other", sha256="0" * 64)
    assert answer.status_code == 400
    assert "send it again" in answer.json()["detail"]
    assert files.size(run.code, "0" * 64) is None
    assert not [each for each in files.folder(run.code).rglob("*") if each.is_file()]


@pytest.mark.parametrize(("start", "expected"), [
    ("bytes=0-9", (206, b"0123456789", "bytes 0-9/100")), ("bytes=95-", (206, b"56789", "bytes 95-99/100")),
    ("bytes=-3", (206, b"789", "bytes 97-99/100")), ("bytes=90-5000", (206, b"0123456789", "bytes 90-99/100")),
    ("bytes=100-", (416, b"", "bytes */100")), ("bytes=5-2", (416, b"", "bytes */100")),
    ("bytes=-0", (416, b"", "bytes */100")),
    ("words", (200, b"0123456789" * 10, None)), ("bytes=0-1,4-5", (200, b"0123456789" * 10, None)),
])  # fmt: skip
def test_ranges_are_answered_as_players_ask_for_them(run, sender, viewer, start, expected):
    sender.send(b"0123456789" * 10, "file")
    answer = file_of(viewer, run, listed(viewer, run)[0], Range=start)
    assert (answer.status_code, b"".join(answer), answer.get("Content-Range")) == expected


HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


@pytest.mark.parametrize("body", [HTML, SVG])
def test_what_a_browser_would_execute_is_no_image_and_as_a_file_only_saved(run, sender, viewer, body):
    refused = sender.send(body, "image").json()["refused"]
    assert "not PNG, JPEG, GIF or WebP" in refused["s-0"]
    sender.items({"kind": "file", "sha256": hashlib.sha256(body).hexdigest(), "name": "x.html"})
    sender.items({"uid": "t", "kind": "text", "sha256": hashlib.sha256(body).hexdigest()})
    text, file = listed(viewer, run)
    answer = file_of(viewer, run, file)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''x.html"
    assert file_of(viewer, run, text)["Content-Type"] == "text/plain; charset=utf-8"


def test_names_with_markup_and_paths_stay_names(run, sender, viewer):
    key = "<img src=x onerror=alert(1)>/" + "é" * 200
    sender.send(PNG, key=key, name="../../<b>.png")
    (row,) = listed(viewer, run, key=key)
    assert row["key"] == key
    assert file_of(viewer, run, row, "?download=1")["Content-Disposition"] == (
        "attachment; filename*=UTF-8''..%2F..%2F%3Cb%3E.png".replace("%2F", "_")
    )


WRONG = [
    ({"kind": "video", "sha256": "0" * 64}, "kind"),
    ({"kind": "image", "sha256": "../../etc/passwd"}, "sha256"),
    ({"kind": "image", "sha256": "0" * 64, "key": "k" * 301}, "key"),
    ({"kind": "image", "sha256": "0" * 64, "key": "a\x01b"}, "key"),
    ({"kind": "image", "sha256": "0" * 64, "step": -1}, "step"),
    ({"kind": "image", "sha256": "0" * 64, "data": {"x": "y" * 20_000}}, "data"),
    ({"kind": "histogram", "data": {"edges": [0, 1], "counts": [1, 2]}}, "data"),
    ({"kind": "histogram", "data": {"edges": [1, 0, 2], "counts": [1, 2]}}, "data"),
    ({"kind": "histogram", "data": {"edges": [0, 1], "counts": [-1]}}, "data"),
    ({"kind": "histogram", "data": {"edges": list(range(1000)), "counts": [1] * 999}}, "data"),
    ({"kind": "image", "sha256": "0" * 64, "surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("item", "field"), WRONG)
def test_an_item_of_the_wrong_shape_is_refused_by_its_field(run, sender, item, field):
    answer = sender.items(item)
    assert answer.status_code == 400
    assert any(field in name for name in answer.json()["fields"]), answer.json()
    assert not Media.objects.exists()


def test_limits_are_said_in_words_before_the_bytes_are_taken(run, sender, settings):
    settings.MEDIA_FILE_BYTES = 2**20
    answer = sender.piece(b"x" * (2**20 + 1), piece=b"x")
    assert answer.json()["fields"]["size"] == [
        "a file of 1 MiB; at most 1 MiB are kept (SCALEWEB_MEDIA_FILE_MIB)"
    ]
    settings.MEDIA_RUN_BYTES = 1000
    sender.send(b"y" * 900, "file")
    assert "900 bytes of files, and 200 bytes more" in sender.piece(b"z" * 200).json()["detail"]


def test_a_run_token_opens_its_own_runs_media_for_writing_alone(run, sender, client):
    other = Sender(a_run(run.experiment.project, name="other"))
    other.code = run.code
    assert other.piece(PNG).status_code == 404
    assert other.items({"kind": "text", "sha256": "0" * 64}).status_code == 404
    assert client.get(f"/api/v1/runs/{run.code}/media", headers=sender.headers_).status_code == 401
    assert client.get(f"/api/v1/runs/{run.code}", headers=sender.headers_).status_code == 401


def test_histograms_over_many_steps_come_evenly_chosen_with_the_last(run, sender, viewer):
    for first in range(0, 300, 100):
        data = {"edges": [0, 1, 2], "counts": [1, 3]}
        items = [
            {"uid": f"h{n}", "kind": "histogram", "step": n, "data": data} for n in range(first, first + 100)
        ]
        assert sender.items(*items).json()["taken"] == 100
    found = viewer.get(f"/api/v1/runs/{run.code}/media/histograms", {"key": "sample", "width": 100}).json()
    assert found["total"] == 300
    assert [each["step"] for each in found["histograms"]] == list(range(2, 300, 3))


def test_a_full_disk_is_said_in_words_and_what_was_here_stays(run, sender, monkeypatch):
    body = b"q" * 100
    sender.piece(body, 0, body[:50])

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "add", full)
        answer = sender.piece(body, 50, body[50:])
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["detail"]
    assert sender.piece(body, 50, body[50:]).json()["whole"]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_media_go_with_their_run(run, sender):
    sender.send(PNG)
    run.state = "finished"
    run.save()
    assert files.folder(run.code).exists()
    delete_run(run)
    assert not files.folder(run.code).exists()
    assert not Media.objects.exists()
    assert not series.keys(f"run:{run.code}")


def test_retention_deletes_what_is_old_and_files_that_belong_to_nothing(run, sender, settings, monkeypatch):
    settings.KEEP_MEDIA_DAYS = 10
    sender.send(PNG, at=time.time() - 11 * 86_400)
    sender.items(
        {"uid": "new", "kind": "image", "sha256": hashlib.sha256(PNG).hexdigest(), "at": time.time()}
    )
    assert retention.age() == 1
    assert files.size(run.code, hashlib.sha256(PNG).hexdigest())
    sender.piece(b"never named")
    assert retention.sweep() == 0
    monkeypatch.setattr(retention, "SENDING_SECONDS", -1.0)
    assert retention.sweep() == 1
    assert Media.objects.count() == 1
    assert files.size(run.code, hashlib.sha256(PNG).hexdigest())
