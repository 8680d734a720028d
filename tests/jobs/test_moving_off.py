"""A real training leaves an overloaded node by its checkpoint, is judged on the other, and may be sent back."""

import json

import pytest
from rest_framework.test import APIClient

from control import loop as controller
from control import rescale as resources
from control.models import ControllerSettings
from control.registry import BUILT_IN
from monitoring import nodes
from tests.support.domain import a_user
from training.jobs import submit as jobs
from training.jobs.node_loop import NodeLoop
from training.models import Attempt

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]

# Counts steps of as many seconds as the file `pace` says for its attempt; what it counted is its checkpoint.
PACED = """
    import json, os, time
    from pathlib import Path
    import scaleweb_sdk
    notes = Path(os.environ["NOTES"])
    attempt = os.environ["SCALEWEB_ATTEMPT"]
    seconds = json.loads((notes / "pace").read_text())[int(attempt) - 1]
    run = scaleweb_sdk.init()
    folder = Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    resumed = os.environ.get("SCALEWEB_RESUME")
    step = json.loads(Path(resumed).read_text()) if resumed else 0
    def save():
        path = folder / f"{step}-{attempt}.json"
        path.write_text(json.dumps(step))
        run.checkpointed(path, step)
    run.on_checkpoint(save)
    with open(notes / "steps", "a") as made:
        while True:
            run.step({"_step_seconds": seconds, "_samples_per_second": 32 / seconds}, step=step)
            if run.should_stop:
                break  # saved at this boundary: the step is the next process's
            print(json.dumps([attempt, step]), file=made, flush=True)
            step += 1
            time.sleep(seconds)
    run.finish()
"""
SLOW, FAST = 0.03, 0.01
# Against two cores' load of one on the other.
BUSY, CALM = {"load_1m": 5.0}, {"load_1m": 0.5}


class TwoWorkers:
    """Two nodes of a slot each, whose workers look when the bench does. A job of one device runs on the first."""

    def __init__(self, bench, folder, paces):
        self.bench, self.folder = bench, folder
        others = {name: {"enabled": False} for name in BUILT_IN}
        policies = others | {"resources": {"may_rescale": True, "judge_after_seconds": 2.0}}
        ControllerSettings.objects.create(experiment=bench.experiment, mode="act", policies=policies)
        self.other = NodeLoop("other")
        self.other.node = self.tell("other", CALM)
        (folder / "pace").write_text(json.dumps(paces))
        self.tell("bench", CALM)
        self.job = bench.python(PACED, env={"NOTES": str(folder)}, min_devices=1, max_devices=1)
        look = bench.loop.look
        bench.until(lambda: self.on() == "bench")
        bench.loop.look = lambda: [look(), self.other.look()]
        self.client = APIClient()
        self.client.force_login(a_user("root", is_superuser=True))

    def tell(self, name, latest):
        """What the node's worker says of itself, as in each of its rounds."""
        slots = [{"kind": "cpu", "index": 0, "name": "slot"}]
        return nodes.register(name, {"hostname": name, "cpu_count": 2, "latest": latest}, slots)

    def on(self):
        """The node on which the newest attempt trains and offers to be moved; None while there is none."""
        attempt = self.bench.attempt(self.job)
        run = self.bench.fresh(self.job).run
        ready = (
            attempt is not None and run.state == "running" and any(o["verb"] == "rescale" for o in run.offers)
        )
        return attempt.node.name if ready and self.made(attempt.number) else None

    def made(self, number=None):
        path = self.folder / "steps"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [step for attempt, step in lines if number is None or int(attempt) == number]

    def ticks(self):
        controller.tick()
        return resources.tick()

    @property
    def cards(self):
        """The decisions as the page reads them, newest first."""
        return self.client.get(f"/api/v1/runs/{self.job.run.code}/decisions").json()["results"]

    def until_judged(self):
        self.bench.until(lambda: (self.ticks(), self.cards[0]["verdict"])[1], 40)
        return self.cards[0]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "notes"
    made.mkdir()
    return made


def test_a_training_on_an_overloaded_node_is_moved_by_its_checkpoint_judged_and_sent_back_by_a_person(
    bench, folder
):
    two = TwoWorkers(bench, folder, [SLOW, FAST, SLOW])
    bench.until(lambda: len(two.made()) > 60)
    assert two.ticks() == 0, "a calm node is not left, and a job of one device has nothing else to gain"
    two.tell("bench", BUSY)
    bench.until(two.ticks)
    (card,) = two.cards
    assert (card["policy"], card["verb"], card["state"]) == ("resources", "rescale", "sent")
    assert card["changes"][0]["value"] == {"devices": 1, "elsewhere": True}
    assert (card["old_value"]["node"], card["new_value"]["node"]) == ("bench", "other")
    assert card["reason"].startswith("moves to 1 slot off a node slowed 2.5 times: ")
    assert "the restart costs 60 s, won back after" in card["reason"]
    assert (card["evidence"]["slow_before"], card["evidence"]["slow_after"]) == (2.5, 1.0)
    assert card["expected"]["effect"] == pytest.approx(1.5)
    bench.until(lambda: two.on() == "other")
    card = two.until_judged()
    assert (card["state"], card["verdict"]) == ("judged", "better"), card["measured"]
    assert card["measured"]["sentence"].startswith(
        "1.07e+03 useful samples a second before, 3.2e+03 after: +200%"
    )
    two.tell("other", BUSY | {"load_1m": 2.0})
    assert two.ticks() == 0, "a load of its cores' number is none too many"
    # A person takes it back, from the card.
    answer = two.client.post(f"/api/v1/decisions/{card['id']}/undo")
    assert (answer.status_code, answer.json()["state"]) == (200, "undone")
    bench.until(lambda: two.on() == "bench")
    jobs.stop(bench.fresh(two.job), "ada")
    assert bench.until_over(two.job).retries_used == 0
    made = two.made()
    assert made == list(range(len(made))), "no step is missing, none was made twice"
    attempts = Attempt.objects.filter(job=two.job).order_by("number")
    assert [(each.node.name, each.outcome) for each in attempts] == [
        ("bench", "rescaled"), ("other", "rescaled"), ("bench", "stopped"),
    ]  # fmt: skip
    assert [each.resumed_from is not None for each in attempts] == [False, True, True]
