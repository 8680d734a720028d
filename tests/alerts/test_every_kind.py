"""Each rule that people begin with, from the preset to the end of its alert: REST, real points, real sockets."""

import json

import pytest
from django.utils import timezone

from alerts.presets import PRESETS
from alerts.sending import queue
from alerts.tick import tick
from tests.alerts.happenings import HAPPENINGS, Clock, World
from tests.api.conftest import client_of
from tests.support.domain import a_run, a_user

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture
def world(transactional_db, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    run = a_run(state="running", started_at=clock())
    root = client_of(a_user("root", is_superuser=True))
    made = World(run, tmp_path, clock, root, monkeypatch)
    made.watch(60)
    return made


def test_every_preset_is_made_to_happen():
    assert {each.preset for each in HAPPENINGS} == {preset.name for preset in PRESETS}


@pytest.mark.parametrize("happening", HAPPENINGS, ids=lambda each: each.id)
def test_it_is_told_once_while_it_lasts_and_once_when_it_is_over_and_a_preview_finds_it(
    world, happening, receiver, postbox
):
    root = world.root
    hook = {"kind": "webhook", "target": f"http://127.0.0.1:{receiver.server_port}/hook"}
    channels = [
        root.ask("POST", "alerts/channels", {"name": each["kind"], **each}).json()["id"]
        for each in (hook, {"kind": "mail", "target": "ada@example.org"})
    ]
    known = root.ask("GET", "alerts/conditions").json()["presets"]
    rule = next(preset for preset in known if preset["name"] == happening.preset)
    del rule["told"]
    made = root.ask("POST", "alerts/rules", rule | {"channels": channels})
    assert made.status_code == 201, made.content
    assert tick() == {"rules": 1, "fired": 0, "resolved": 0, "failed": 0}

    happening.begin(world)
    assert tick()["fired"] == 1
    (alert,) = root.ask("GET", "alerts?firing=true").json()["results"]
    assert happening.said in f"{alert['label']}: {alert['message']}"
    world.clock.pass_(5)
    assert tick() == {"rules": 1, "fired": 0, "resolved": 0, "failed": 0}
    queue.deliver()
    assert told(receiver, postbox) == [("firing", alert["message"])]

    happening.end(world)
    assert tick()["resolved"] == 1
    assert root.ask("GET", "alerts?firing=true").json()["results"] == []
    queue.deliver()
    assert [event for event, _ in told(receiver, postbox)] == ["firing", "resolved"]

    wanted = {name: rule[name] for name in ("condition", "parameters", "hold_seconds")}
    preview = root.ask("POST", "alerts/rules/preview", wanted | {"hours": 6}).json()
    (span,) = preview["spans"]
    assert happening.said in f"{span['label']}: {span['message']}"
    assert span["end"] is not None


def told(receiver, postbox) -> list[tuple[str, str]]:
    """(event, message) of each webhook; and as many mails say the same."""
    found = [
        (body["event"], body["alerts"][0]["message"])
        for *_, raw in receiver.got
        for body in [json.loads(raw)]
    ]
    assert len(postbox.mails) == len(found)
    for (event, message), mail in zip(found, postbox.mails, strict=True):
        assert event in mail.replace("=\r\n", "")
        assert message.split(":")[0] in mail.replace("=\r\n", "").replace("\r\n", "\n")
    return found
