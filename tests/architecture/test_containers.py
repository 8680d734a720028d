"""Dockerfile and compose files against what the code needs. Nothing is built here: they are read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from tests.api.test_settings_documented import settings_read

TOP = Path(__file__).resolve().parents[2]
COMPOSE = ("compose.yaml", "compose.node.yaml")
DOCKERFILE = (TOP / "Dockerfile").read_text()
# `latest`, `9`, `3.11-slim` move; `9.1.2`, `17.6-bookworm` and a digest do not move on to another version.
EXACT = re.compile(r"(:\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$")


def services(name):
    return yaml.safe_load((TOP / name).read_text())["services"]


def test_the_image_does_not_run_as_root_and_says_whether_it_is_well():
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M)[-1] == "scaleweb"
    (probe,) = re.findall(r"^HEALTHCHECK .*CMD \[\"python\", \"(\S+)\"\]", DOCKERFILE, re.M)
    assert (TOP / probe).exists()


def test_every_image_is_pinned_to_a_version():
    (base,) = re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, re.M)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${BASE}"}
    assert re.search(r"@sha256:[0-9a-f]{64}$", base)
    foreign = {
        service["image"] for name in COMPOSE for service in services(name).values() if "build" not in service
    }
    assert foreign
    assert [image for image in foreign if not EXACT.search(image)] == []


def test_no_secret_is_copied_into_the_image():
    ignored = (TOP / ".dockerignore").read_text().split()
    assert {".env*", ".git", ".venv", ".scaleweb"} <= set(ignored)


@pytest.mark.parametrize("name", COMPOSE)
def test_every_variable_that_compose_sets_is_a_setting(name):
    # Read by uvicorn itself.
    known = set(settings_read()) | {"FORWARDED_ALLOW_IPS"}
    for service in services(name).values():
        if "build" in service:
            assert set(service["environment"]) <= known
            assert {"DATABASE_URL", "REDIS_URL", "SCALEWEB_SECRET_KEY", "SCALEWEB_URL"} <= set(
                service["environment"]
            )


@pytest.mark.parametrize("name", COMPOSE)
def test_a_node_in_a_container_ends_its_jobs_in_order(name):
    """A container's end kills what its worker leaves running: that would cost a retry, or fail the job."""
    node = services(name)["node"]
    assert node["environment"]["SCALEWEB_STOP_JOBS"] == "1"
    assert int(node["stop_grace_period"].removesuffix("s")) >= 30
    (queue,) = [word for word in node["command"] if word.startswith("node.")]
    assert node["hostname"].replace(":-node-1", "") in queue.replace(":-node-1", "")


def test_every_service_of_the_site_is_there_and_starts_what_the_stack_starts():
    commands = {
        name: " ".join(service.get("command", [])) for name, service in services("compose.yaml").items()
    }
    assert set(commands) == {"db", "broker", "migrate", "web", "control", "beat", "node"}
    assert "-Q control" in commands["control"]
    assert "uvicorn" in DOCKERFILE
    for flag in (
        "scaleweb.websockets:FramesProtocol",
        "--ws-per-message-deflate",
        "--lifespan",
        "--timeout-graceful-shutdown",
    ):
        assert flag in DOCKERFILE
        assert flag in (TOP / "scaleweb" / "stack" / "stack.py").read_text()


@pytest.mark.parametrize("name", ["control", "beat", "node"])
def test_celery_understands_the_command(name):
    from celery.bin.celery import celery

    program, *words = services("compose.yaml")[name]["command"]
    assert program == "celery"
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]
    kind = next(word for word in words if word in {"worker", "beat"})
    command = celery.commands[kind]
    parser = command.make_parser(click.Context(command))
    _, left, _ = parser.parse_args(words[words.index(kind) + 1 :])
    assert left == []


def probe(port, **environment):
    return subprocess.run(
        [sys.executable, TOP / "scripts" / "healthcheck.py", str(port)], env=os.environ | environment,
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_the_health_check_asks_under_the_public_name(live_site, settings):
    settings.ALLOWED_HOSTS = ["scaleweb.example.org"]
    asked = probe(live_site.port, SCALEWEB_URL="https://scaleweb.example.org")
    assert (asked.returncode, asked.stdout.strip()) == (0, '{"status": "ok"}')
    assert probe(live_site.port, SCALEWEB_URL="https://other.example.org").returncode == 1
    live_site.stop()
    assert probe(live_site.port, SCALEWEB_URL="https://scaleweb.example.org").returncode == 1
    live_site.start()
