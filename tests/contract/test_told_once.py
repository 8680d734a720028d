"""Which events are told once: the story in the browser and the marks of charts go by one rule."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from training.api.told_once import told_by_others
from training.models import Command, RunEvent

CASES = json.loads((Path(__file__).parent / "fixtures" / "told_once.json").read_text())


def timed(fields: dict) -> dict:
    times = {"at", "created_at", "applied_at"}
    return {
        name: datetime.fromisoformat(each) if name in times and each else each
        for name, each in fields.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_the_server_takes_the_same_events_for_told_as_the_browser(case):
    commands = [Command(**timed(each)) for each in case["commands"]]
    events = [RunEvent(**timed(each)) for each in case["events"]]
    assert sorted(told_by_others(commands, events)[0]) == case["told"]
