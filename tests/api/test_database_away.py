"""A database that does not answer: 503 in words, no lock that outlives its holder, and well again by itself."""

import contextlib
import sqlite3

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client

from scaleweb import env
from scaleweb.errors import unanswered
from tests.support.domain import a_member, a_project, a_run
from training.models import Run

pytestmark = [pytest.mark.django_db(databases="__all__", transaction=True), pytest.mark.both_databases]


@pytest.fixture
def run(client):
    made = a_run()
    client.force_login(a_member(a_project()))
    return made


@contextlib.contextmanager
def held():
    """Another process writes, and does not come to an end."""
    if connection.vendor != "sqlite":
        pytest.skip("one writer at a time is SQLite's way")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, uri=True)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()
    connection.close()


def test_a_write_that_does_not_get_its_turn_is_told_to_come_again(client, run):
    address = f"/api/v1/runs/{run.code}"
    with held():
        answer = client.patch(address, {"notes": "x"}, content_type="application/json")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "2"
    assert answer.json()["detail"].startswith("The database did not answer, or not in time. Ask again")
    assert client.patch(address, {"notes": "x"}, content_type="application/json").status_code == 200


def test_people_are_told_so_by_a_page(run):
    with held():
        page = Client().post("/login", {"username": "ada", "password": "x"})
    assert page.status_code == 503
    assert "The database does not answer" in page.text


def test_a_mistake_in_a_query_is_not_called_an_outage():
    with pytest.raises(Exception, match="no_such_table") as raised, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    assert not unanswered(raised.value)
    assert unanswered(OperationalError("couldn't get a connection after 10.00 sec"))


def in_postgres(**options) -> psycopg.Connection:
    if connection.vendor != "postgresql":
        pytest.skip("of a pool and of other hosts: PostgreSQL")
    parameters = connection.get_connection_params()
    return psycopg.connect(**{key: value for key, value in parameters.items() if key != "context"} | options)


def test_a_database_that_was_restarted_costs_no_request(client, run):
    """Whoever restarts it ends all connections; the pool keeps them, and hands them out."""
    if connection.vendor == "postgresql":
        connection.close()
        connection.close_pool()  # a pool of this test's own: threads of others may have left theirs without connections
    address = f"/api/v1/runs/{run.code}"
    assert client.get(address).status_code == 200
    with in_postgres(autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            "and backend_type = 'client backend' and datname = current_database()"
        )
    connection.close()  # what the end of a request does outside of tests
    assert client.get(address).status_code == 200


def test_what_a_host_held_locked_as_it_was_cut_off_is_let_go(run, monkeypatch):
    monkeypatch.setattr(env, "DEAD_PEER_SECONDS", 1)
    other = in_postgres(**env.heard_of())
    other.execute("select id from training_run where id = %s for update", [run.pk])
    # It says nothing more, and does not close: its cable is pulled.
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")
    Run.objects.filter(pk=run.pk).update(notes="somebody else's")
    with pytest.raises(psycopg.Error):
        other.execute("select 1")
    other.close()
