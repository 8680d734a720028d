"""Every frame of /ws/live, built by the code that sends it, kept as files that the front end's tests read.

After a change on purpose: SCALEWEB_WRITE_FIXTURES=1 python -m pytest tests/contract, and look at the diff.
"""

import json
import math
import os
from pathlib import Path

import pytest

from monitoring.live import frames
from monitoring.live.hub import LiveHub, Viewer
from monitoring.plain import plain

FOLDER = Path(__file__).parent / "fixtures" / "live"
AT = 1795450000.25
COMMAND = {
    "id": 7, "seq": 3, "verb": "set", "tunable": "lr", "value": 0.01, "asked_by": "ada", "by_person": True,
    "reason": "too steep", "origin": "", "state": "applied", "applied_step": 120, "old_value": 0.1,
    "new_value": 0.01, "message": "", "created_at": "2026-11-23T16:06:40.250000+00:00",
    "sent_at": "2026-11-23T16:06:40.260000+00:00", "applied_at": "2026-11-23T16:06:40.300000+00:00",
}  # fmt: skip
COLUMNS = [
    ("loss", [10, 11, 12], [AT, AT + 0.5, AT + 1], [0.5, math.nan, 0.25]),
    ("train/grad_norm", [12], [AT + 1], [math.inf]),
    ("reward 🙂", [12], [AT + 1], [-math.inf]),
]


def changed(what: str, data: dict) -> bytes:
    return frames.encode({"type": "changed", "what": what, "at": AT, "data": plain(data)})


# name of the file -> (topic, published message)
PUBLISHED = {
    "points": ("run:k7m2x9pqr", frames.points(1, COLUMNS)),
    "lines": ("run:k7m2x9pqr", frames.lines([(AT, "stdout", "epoch 1"), (AT, "stderr", "a\tb \"c\" 🙂")])),
    "open_lines": (
        "run:k7m2x9pqr",
        frames.open_lines("0123456789abcdef" * 2, "rank 0", AT, [(AT, "stderr", "epoch 1:  51%")]),
    ),
    "lost": ("run:k7m2x9pqr", frames.encode(frames.LOST)),
    "changed_run": (
        "run:k7m2x9pqr",
        changed("run", {"code": "k7m2x9pqr", "last_step": 12, "summary": {"loss": 0.25, "acc": math.nan}}),
    ),
    "changed_run_state": (
        "experiment:4", changed("run", {"code": "k7m2x9pqr", "state": "paused"})
    ),
    "changed_command": ("run:k7m2x9pqr", changed("command", COMMAND)),
    "changed_tunable": ("run:k7m2x9pqr", changed("tunable", {"name": "lr", "value": 0.01})),
    "changed_checkpoint": ("run:k7m2x9pqr", changed("checkpoint", {"id": 5, "step": 100, "available": True})),
    "changed_event": (
        "run:k7m2x9pqr",
        changed("event", {"id": 9, "kind": "reflex", "step": 118, "at": COMMAND["sent_at"]}),
    ),
    "changed_decision": ("run:k7m2x9pqr", changed("decision", {"id": 2})),
    "changed_job": ("queue", changed("job", {"code": "p4t8w2zzq"})),
    "changed_node": ("fleet", changed("node", {"name": "gpu-1", "state": "silent"})),
}  # fmt: skip
ANSWERS = {
    "subscribed": {"type": "subscribed", "topics": ["run:k7m2x9pqr", "queue"], "refused": ["run:zzzzzzzzz"]},
    "pong": {"type": "pong"},
    "error": {"type": "error", "message": "type='dance' is unknown; expected subscribe, unsubscribe or ping"},
}


def as_sent(topic: str, body: bytes) -> dict:
    """Through the hub, as a browser gets its 17th message of the topic."""
    hub, viewer = LiveHub(), Viewer()
    hub.topics = {}
    hub.beat.set()
    hub.subscribe(viewer, topic)
    hub.topics[topic].n = 16
    hub.spread(topic, hub.topics[topic], body)
    return json.loads(viewer.messages[0].text)


CASES = {name: as_sent(*published) for name, published in PUBLISHED.items()} | ANSWERS


@pytest.mark.parametrize("name", CASES)
def test_the_file_that_the_front_end_reads_is_what_is_sent(name):
    path = FOLDER / f"{name}.json"
    text = json.dumps(CASES[name], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if os.environ.get("SCALEWEB_WRITE_FIXTURES"):
        path.write_text(text)
    assert json.loads(path.read_text()) == CASES[name]


def test_every_file_is_a_frame_that_is_sent():
    assert {path.stem for path in FOLDER.glob("*.json")} == CASES.keys()


def test_no_frame_holds_a_number_that_json_lacks():
    for frame in CASES.values():
        json.dumps(frame, allow_nan=False)
