"""The whole loop on a real NVIDIA GPU: leased, trained on, seen, steered, rolled back. Skipped where there is none."""

import os
import sys

import pytest
import torch

from tests.support.stack import TOP, RunningStack
from tests.support.wait import until

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]


@pytest.fixture(scope="module")
def api():
    stack = RunningStack().start()
    yield stack.api()
    stack.close()


@pytest.fixture(scope="module")
def run(api):
    """A training on the GPU, well under way."""
    until(lambda: gpus_of(api), 60, every=0.2)
    experiment = api.post("experiments", {"project": "default", "name": "gpu", "goal_metric": "loss"})
    trainer = [sys.executable, "-m", "training.trainers.gpt", "--steps", "1000000"]
    size = ["--width", "512", "--heads", "8", "--layers", "8", "--length", "256", "--batch-size", "64"]
    job = api.post(
        "jobs",
        {
            "experiment": experiment["id"], "argv": trainer + size + ["--checkpoint-every", "50"],
            "cwd": str(TOP), "device_kind": "gpu", "min_devices": 1, "max_devices": 1,
        },
    )  # fmt: skip

    def under_way():
        found = api.get(f"runs/{job['run']}")
        assert found["state"] in {"queued", "starting", "running"}, api.text(f"runs/{job['run']}/logs")
        return found["state"] == "running" and (found["last_step"] or 0) > 150

    until(under_way, 60, every=0.2)
    yield job["run"]
    if api.get(f"runs/{job['run']}")["state"] == "running":
        api.post(f"jobs/{job['code']}/stop")
        until(lambda: api.get(f"runs/{job['run']}")["state"] == "stopped", 60, every=0.2)


def gpus_of(api):
    (node,) = api.get("nodes")["results"]
    return [d for d in api.get(f"nodes/{node['name']}")["devices"] if d["kind"] == "gpu"]


def test_the_card_is_seen_at_work_and_its_process_linked_to_the_run(api, run):
    def busy():
        gpu = gpus_of(api)[0]
        figures = gpu["latest"]
        return (gpu, figures) if figures.get("utilisation_ratio", 0) > 0.3 else None

    gpu, figures = until(busy, 30, every=0.5)
    assert gpu["healthy"], gpu
    assert "NVIDIA" in gpu["name"]
    assert figures["memory_used_bytes"] > 1e9
    assert 50 < figures["power_watts"] < 2000
    # The tests' own process may hold the card too; some drivers hide process ids in a container.
    assert run in [process["run"] for process in gpu["processes"]] or not gpu["processes"], gpu["processes"]


def fate_of(api, run, sent):
    """What became of a command, once that is known."""

    def known():
        found = next(c for c in api.get(f"runs/{run}/commands")["results"] if c["seq"] == sent["seq"])
        return found if found["state"] not in {"pending", "sent"} else None

    return until(known, 30)


def test_a_new_rate_reaches_the_optimiser_on_the_gpu(api, run):
    sent = api.post(f"runs/{run}/commands", {"verb": "set", "tunable": "lr", "value": 1e-3})
    assert fate_of(api, run, sent)["state"] == "applied"


def test_a_roll_back_restores_the_state_on_the_gpu(api, run):
    saved = until(lambda: [c for c in api.get(f"runs/{run}/checkpoints")["results"] if c["available"]], 30)
    target = max(saved, key=lambda c: c["step"])
    sent = api.post(f"runs/{run}/commands", {"verb": "rollback", "value": {"checkpoint": target["id"]}})
    assert fate_of(api, run, sent)["state"] == "applied"
    until(lambda: api.get(f"runs/{run}")["state"] == "running", 10)


def test_half_precision_on_order_computes_on_the_card(api, run):
    sent = api.post(f"runs/{run}/commands", {"verb": "set", "tunable": "precision", "value": "bfloat16"})
    assert fate_of(api, run, sent)["state"] == "applied"
    before = api.get(f"runs/{run}")["last_step"]
    until(lambda: api.get(f"runs/{run}")["last_step"] > before + 50, 30)


def test_its_energy_is_counted_from_what_the_card_drew(api, run):
    def usage():
        found = api.get(f"runs/{run}")["usage"]
        return found if found.get("energy_joules") else None

    used = until(usage, 60, every=0.5)
    print("usage", used)
    # Between a card that idles and one at its limit.
    assert 50 < used["energy_joules"] / used["device_seconds"] < 1000


def finished(api, job):
    def over():
        state = api.get(f"runs/{job['run']}")["state"]
        return state not in {"queued", "starting", "running"} and state

    state = until(over, 120, every=0.2)
    text = api.text(f"runs/{job['run']}/logs")
    assert state == "finished", text
    return text


def submitted(api, *argv, **fields):
    experiment = api.post("experiments", {"project": "default", "name": argv[0], "goal_metric": "loss"})
    devices = {"device_kind": "gpu", "min_devices": 1, "max_devices": 1}
    script = str(TOP / "tests" / "gpu" / argv[0])
    asked = {"experiment": experiment["id"], "argv": [sys.executable, script, *argv[1:]], "cwd": str(TOP)}
    return api.post("jobs", asked | devices | {"env": {"PYTHONPATH": search_path()}} | fields)


def search_path():
    return os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])])


def test_ranks_under_torchrun_meet_over_nccl(api, run):
    """It waits for the card that `run` holds: stopped, that one gives it back."""
    job = submitted(api, "nccl_training.py", "200", launcher="torchrun")
    waiting = until(lambda: api.get(f"jobs/{job['code']}")["waiting_reason"], 30)
    print("waits:", waiting)
    assert "gpu" in waiting.lower()
    api.post(f"runs/{run}/commands", {"verb": "stop"})
    text = finished(api, job)
    assert "ended over nccl with 1 of NVIDIA" in text


def test_a_batch_larger_than_the_card_is_computed_in_parts(api, run):
    job = submitted(api, "greedy_training.py", env={"PYTHONPATH": search_path(), "STEPS": "12"})
    text = finished(api, job)
    size = int(text.split("began with ")[1].split()[0])
    controls = {t["name"]: t["value"] for t in api.get(f"runs/{job['run']}/tunables")["results"]}
    assert controls["accumulation"] >= 2
    assert controls["batch_size"] * controls["accumulation"] == size
    events = api.get(f"runs/{job['run']}/events")["results"]
    reflexes = [event for event in events if event["kind"] == "reflex"]
    print(reflexes)
    assert reflexes
