"""A full disk while the site runs: said in words, nothing half done."""

import shutil

import pytest
from django.db import OperationalError, connection

from scaleweb import health
from scaleweb.errors import DiskFull, translate
from tests.support.domain import a_member, a_project
from training.models import Experiment, Job, Run

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture
def full():
    """SQLite refuses to grow: its own way of saying that the disk is full."""
    if connection.vendor != "sqlite":
        pytest.skip("a full disk is made with SQLite's page limit")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1073741823")


def test_a_job_that_cannot_be_written_is_refused_in_words_and_leaves_nothing(client, full):
    project = a_project()
    client.force_login(a_member(project))
    experiment = Experiment.objects.create(project=project, name="digits", slug="digits")
    body = {"experiment": experiment.pk, "argv": ["python", "-c", "x" * 90_000]}
    answer = client.post("/api/v1/jobs", body, content_type="application/json")
    assert answer.status_code == 507
    assert answer.json()["detail"].startswith("The server's disk is full, so nothing was changed.")
    assert not Job.objects.exists()
    assert not Run.objects.exists()


def test_another_failure_of_the_database_is_not_called_a_full_disk():
    for words in ("database is locked", "no such table: x"):
        assert not isinstance(translate(OperationalError(words)), DiskFull)
    assert isinstance(translate(OSError(28, "No space left on device")), DiskFull)


def test_health_names_the_full_disk(client, monkeypatch):
    usage = shutil._ntuple_diskusage(100 * 2**30, 100 * 2**30 - 2**20, 2**20)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: usage)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["wrong"]["disk"] == (
        "the disk of the data folder is full (1 MiB are free): points wait at their senders"
    )
