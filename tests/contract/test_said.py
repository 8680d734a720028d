"""Sentences of the server that the page says in Chinese: each pattern of the catalogue is still what a source writes.

The page fits what comes with patterns (frontend/src/lib/said.ts, frontend/src/words/zh/server.ts): who words a
sentence anew words its pattern anew. Sentences of the real functions stand in fixtures/said.json, which vitest reads.
"""

import json
import re
from pathlib import Path

import pytest
from rest_framework import fields

from control import scores
from control.estimators.health import Kind, Trouble
from control.estimators.motion import Motion
from control.policies.divergence import words
from control.policies.learning_rate.climb import words as walk
from control.policies.learning_rate.values import came, moved
from control.proposals import CheckpointView, TunableView
from control.undo import Setting, undo
from control.verify import Judgement
from training.jobs import outlook, reasons
from training.jobs.giving_way import Leaving, Running
from training.jobs.outlook import Slot
from training.jobs.turns import Quota, Waiting

CATALOGUE = Path("frontend/src/words/zh/server.ts")
KEPT = Path(__file__).parent / "fixtures" / "said.json"
PACKAGES = ("alerts", "control", "monitoring", "scaleweb_sdk", "training")
ADJACENT = re.compile(r'"\s*\n\s*f?"|"\s+f?"(?=\S)')


def patterns():
    found = re.findall(r'^  "((?:[^"\\]|\\.)*)":', CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)
    return [json.loads(f'"{each}"') for each in found]


@pytest.fixture(scope="module")
def sources():
    files = [file for package in PACKAGES for file in Path(package).rglob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in [*files, Path(fields.__file__)]]
    # A long sentence is written in pieces, one a line.
    return "\n".join(re.findall(r"\"[^\"\n]*\"|'[^'\n]*'", ADJACENT.sub("", "\n".join(texts))))


def pieces_of(text, sources):
    """How few runs of words that the sources write make up the text; of the longest first."""
    words, count = text.split(), 0
    while words:
        size = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in sources), None)
        if size is None:
            return None
        words, count = words[size:], count + 1
    return count


def test_each_pattern_is_made_of_what_a_source_writes(sources):
    def unwritten(pattern):
        between = (part.strip(" .,:;%()") for part in re.split(r"\{\w+\}|[,.;:]\s", pattern))
        # A sentence is put together from few parts; one that was worded anew falls into many, or a word is gone.
        return [part for part in between if (count := pieces_of(part, sources)) is None or count > 4]

    assert {pattern: lost for pattern in patterns() if (lost := unwritten(pattern))} == {}


def of_the_queue():
    one = Waiting(1, 1, "gpu", min_devices=4)
    yield reasons.waits(one, 0, 8, None)
    yield reasons.waits(one, 2, 8, None)
    yield reasons.waits(one, 0, 2, None) + "; gpu-01 is cordoned"
    yield reasons.waits(one, 4, 8, 6)
    yield reasons.waits(Waiting(1, 1, "cpu"), 0, 0, None)
    yield reasons.waits(Waiting(1, 1, "gpu", min_devices=4, max_nodes=2), 1, 8, None)
    yield reasons.over_quota(one, 2, Quota(2, 0))
    yield reasons.memory(one, 2**34)
    yield reasons.left_for(one, [Leaving(Running(1, 1, "gpu", {(1, "gpu"): 2}), {(1, "gpu"): 2})])
    slots = {(1, "gpu"): [Slot(60.0, "pace")] * 4}
    yield outlook.starts([one], slots, {1: "gpu-01"})[1].words
    yield outlook.starts([one], {(1, "gpu"): [Slot(float("inf"))] * 4}, {1: "gpu-01"})[1].words
    yield outlook.starts([one], {}, {})[1].words


def of_the_controller():
    rate = TunableView("lr", "float", 0.1)
    for kind in Kind:
        trouble = Trouble(kind, 120, 200, 0.5, 2.25, 1.0)
        yield words.sentence("loss", trouble, CheckpointView(1, 100), rate, 0.01)
    yield words.sentence("loss", trouble, None, rate, None)
    lower = "; lower lr to 0.03 from 0.1."
    for low, high, log in ((-0.2, 0.1, True), (-0.5, 1.5, False), (0.1, 1.5, True)):
        yield f"loss has stopped falling: {moved(low, log)} to {moved(high, log)} in 399 steps{lower}"
    yield f"{came('loss', 0.1, True)} in 40 points, and the first steps overshot{lower}"
    for breadth in (1.0, 4.0):
        yield f"{walk(Motion(0.9, 0.002, 1, 1, breadth))}; raise lr to 0.1 from 0.03."
    setting = Setting(rate, 0.03, 0.1)
    unclear = Judgement("unclear", "")
    back = undo(
        unclear, trial=True, verb="set", settings=[setting], tunables={"lr": rate}, broken=False,
        checkpoints=[], before_step=1,
    )  # fmt: skip
    assert back is not None
    yield back.reason
    told = {"changes": 4, "runs": 2, "saved_steps": 0, "lost_steps": 0, "steps_back": 120}
    told |= {"rescues": {"made": 2, "better": 1}, "trials": {"made": 3, "kept": 1, "taken_back": 2}}
    yield scores.sentence(told | {"restarts": {"made": 1, "better": 1}}, None)


def test_sentences_of_the_real_functions_are_those_that_the_page_is_tested_with():
    """Write fixtures/said.json anew with what this says is made, where a sentence was worded anew."""
    assert [*of_the_queue(), *of_the_controller()] == json.loads(KEPT.read_text(encoding="utf-8"))
