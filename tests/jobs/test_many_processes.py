"""Jobs of several processes: torchrun through our placement, other devices at a checkpoint, fewer after a death."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from control import loop as controller
from control import rescale as resources
from control.models import ControllerSettings, Decision
from control.registry import BUILT_IN
from monitoring import nodes
from tests.support.domain import a_user
from training import commands
from training.jobs import submit as jobs
from training.jobs.local import Local
from training.jobs.node_loop import NodeLoop
from training.jobs.processes import members, read_json
from training.jobs.submit import JobRefused
from training.models import Attempt, Command, Job, Member

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]
SCRIPT = Path(__file__).with_name("elastic_training.py")
EPOCH = 1792  # its samples


@pytest.fixture(autouse=True)
def client(bench):
    bench.client = APIClient()
    bench.client.force_login(a_user("root", is_superuser=True))


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def training(bench, notes, batch=32, **fields):
    fields = {"launcher": "torchrun", "min_devices": 1, "max_devices": 2} | fields
    env = {"BATCH": str(batch), "EVERY": "10"}
    return bench.job([sys.executable, str(SCRIPT), str(notes)], env=env, **fields)


def steps_of(notes):
    """{step: (world size, samples)} of what was trained."""
    found = {}
    for path in sorted(notes.glob("*-*")):
        for line in path.read_text().splitlines():
            step, world, *samples = map(int, line.split())
            found[step] = (world, found.get(step, (world, []))[1] + samples)
    return found


def running_on(bench, job, attempt, devices):
    def found():
        newest = bench.attempt(job)
        run = bench.fresh(job).run
        offered = [o for o in run.offers if o["verb"] == "rescale"]
        fits = newest is not None and newest.number == attempt and run.state == "running" and offered
        return fits and offered[0]["parameters"][0]["value"] == devices

    bench.until(found, 90)


def rescale(job, devices):
    return commands.issue(job.run, "rescale", value={"devices": devices}, asked_by="ada")


def controlled(bench):
    """The controller's hand on devices alone, and quick to judge."""
    others = {name: {"enabled": False} for name in BUILT_IN}
    policies = others | {"resources": {"may_rescale": True, "judge_after_seconds": 4.0}}
    ControllerSettings.objects.create(experiment=bench.experiment, mode="act", policies=policies)


def test_the_controller_gives_a_training_a_second_process_and_a_person_takes_it_back_without_a_gap(
    bench, notes
):
    controlled(bench)
    job = training(bench, notes)
    Job.objects.filter(pk=job.pk).update(wanted_devices=1)
    running_on(bench, job, 1, 1)
    bench.until(lambda: resources.tick(), 60)
    decision = Decision.objects.get(run=job.run)
    assert (decision.policy, decision.state, decision.new_value["devices"]) == ("resources", "sent", 2)
    assert decision.evidence["measured"][0]["devices"] == 1
    running_on(bench, job, 2, 2)
    assert Attempt.objects.filter(job=job, ended_at=None).count() == 1
    bench.until(lambda: (controller.tick(), resources.tick(), Decision.objects.get().verdict)[2], 60)
    decision.refresh_from_db()
    assert (decision.state, decision.verdict) == ("judged", "better"), decision.measured
    rescale(bench.fresh(job), 1)
    running_on(bench, job, 3, 1)
    (notes / "stop").touch()
    job = bench.until_over(job, 60)
    assert (job.state, job.retries_used) == ("stopped", 0)
    outcomes = Attempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True)
    assert list(outcomes) == ["rescaled", "rescaled", "stopped"]
    asked = Command.objects.filter(verb="rescale").order_by("seq").values_list("asked_by", "state")
    assert list(asked) == [("controller:resources", "applied"), ("ada", "applied")]
    trained = steps_of(notes)
    assert sorted(trained) == list(range(1, max(trained) + 1)), "no step is missing"
    assert {len(samples) for _, samples in trained.values()} == {32}, "the effective batch is kept"
    assert {world for world, _ in trained.values()} == {1, 2}
    # An epoch is 56 steps.
    for first in range(1, max(trained) - 55, 56):
        epoch = Counter(sample for step in range(first, first + 56) for sample in trained[step][1])
        assert set(epoch.values()) == {1}, "no sample of an epoch comes twice"


def test_where_the_rate_is_to_follow_each_rank_does_what_it_did_and_the_rate_grows_with_the_batch(
    bench, notes
):
    job = training(bench, notes, keep="rate-rule")
    Job.objects.filter(pk=job.pk).update(wanted_devices=1)
    running_on(bench, job, 1, 1)
    bench.until(lambda: job.run.checkpoints.filter(step__gt=0).exists())
    rescale(bench.fresh(job), 2)
    running_on(bench, job, 2, 2)
    assert rate_after(bench, job, resumptions=1) == pytest.approx(0.2), "no noise was measured: in proportion"
    rescale(bench.fresh(job), 1)
    running_on(bench, job, 3, 1)
    # Two ranks have measured the gradient's noise: all of it would halve the rate, none of it would leave it.
    assert 0.1 <= rate_after(bench, job, resumptions=2) < 0.2
    (notes / "stop").touch()
    bench.until_over(job, 60)
    trained, seen = steps_of(notes), 0
    for step in sorted(trained):
        world, samples = trained[step]
        seen += len(samples)
        # Two ranks may find an odd number of batches left of an epoch: its last step has what there is.
        assert len(samples) == 32 * world or (seen % EPOCH == 0 and len(samples) == 32), (step, world)
    assert {world for world, _ in trained.values()} == {1, 2}
    told = [event.reason for event in rescalings(job)]
    assert "64 samples a step in place of 32, learning rate 0.1 -> 0.2" in told[0]
    assert "32 samples a step in place of 64, learning rate 0.2 -> " in told[1]


def rescalings(job):
    return job.run.events.filter(kind="reflex", new="rescaled").order_by("id")


def rate_after(bench, job, resumptions):
    """The learning rate that the run tells once it has said of so many resumptions what they changed."""
    bench.until(lambda: rescalings(job).count() == resumptions, 30)
    return job.run.tunables.get(name="lr").value


def two_nodes_with_a_slot_each(bench):
    """The further nodes that look when the bench does; one that is taken out of the list has died."""
    there = [NodeLoop("other")]
    for loop in (bench.loop, *there):
        slots = [{"kind": "cpu", "index": 0, "name": "slot"}]
        loop.node = nodes.register(loop.name, {"hostname": loop.name}, slots)
    look = bench.loop.look
    bench.loop.look = lambda: [look(), *(loop.look() for loop in there)]
    return there


def test_a_gang_over_two_nodes_goes_on_with_one_when_the_other_dies(bench, notes, settings):
    settings.LEASE_SECONDS = 3
    there = two_nodes_with_a_slot_each(bench)
    second = there[0]
    job = training(bench, notes, max_nodes=2, min_devices=1)
    running_on(bench, job, 1, 2)
    attempt = bench.attempt(job)
    member = Member.objects.get(attempt=attempt)
    assert (attempt.node.name, member.node.name, attempt.devices.count()) == ("bench", "other", 2)
    bench.until(lambda: job.run.checkpoints.filter(step__gt=0).exists())
    told = bench.client.get(f"/api/v1/runs/{job.run.code}/ranks").json()
    assert [(rank["rank"], rank["device"], rank["local_rank"]) for rank in told["ranks"]] == [
        (0, "cpu", 0), (1, "cpu", 0),
    ]  # fmt: skip
    bench.until(lambda: all(rank["apart_seconds"] for rank in ranks_of(bench, job)))
    # The whole node, all at once: its worker, its supervisor, torchrun and the rank.
    there.clear()
    lost = bench.folder / f"{job.code}-1.1"
    for process in (read_json(lost / "supervisor.json"), read_json(lost / "state.json")):
        os.kill(process["pid"], signal.SIGKILL)
    for pid in members(0, "SCALEWEB_SPOOL_DIR", str(lost / "spool")):
        os.kill(pid, signal.SIGKILL)
    type(second.node).objects.filter(name="other").update(state="lost")
    running_on(bench, job, 2, 1)
    (notes / "stop").touch()
    job = bench.until_over(job, 60)
    ended = Attempt.objects.filter(job=job).order_by("number")
    assert [(each.outcome, each.devices.count()) for each in ended] == [("lost", 2), ("stopped", 1)]
    assert ended[1].resumed_from.step > 0
    assert (job.state, job.retries_used) == ("stopped", 0), "the node's fault is not the job's"
    assert ranks_of(bench, job) == []


def test_a_gang_over_two_nodes_leaves_both_for_an_urgent_job_on_one_and_goes_on_where_it_was(
    bench, notes, settings, tmp_path
):
    settings.PREEMPT_AFTER_SECONDS = 0.5
    two_nodes_with_a_slot_each(bench)
    job = training(bench, notes, max_nodes=2, min_devices=2)
    running_on(bench, job, 1, 2)
    bench.until(lambda: len(steps_of(notes)) > 3)
    done = tmp_path / "done"
    urgent = bench.job(["/bin/sh", "-c", f"until [ -e {done} ]; do sleep 0.05; done"], priority=200)
    bench.until_process(urgent)
    attempt, member = Attempt.objects.get(job=job), Member.objects.get(attempt__job=job)
    assert (attempt.outcome, bench.fresh(job).state, member.state) == ("preempted", "queued", "ended")
    assert not [local for local in Local.all_living() if local.attempt().job_id == job.pk], (
        "both parts are gone"
    )
    left_at = job.run.checkpoints.latest("id").step
    assert max(steps_of(notes)) == left_at, "nothing was trained beyond what was saved"
    bench.turn()
    assert "waits for 2 CPU slots on up to 2 nodes" in bench.fresh(job).waiting_reason
    done.touch()
    assert bench.until_over(urgent).state == "done"
    running_on(bench, job, 2, 2)
    bench.until(lambda: max(steps_of(notes)) > left_at + 3)
    (notes / "stop").touch()
    job = bench.until_over(job, 60)
    assert (job.state, job.retries_used) == ("stopped", 0)
    assert Attempt.objects.get(job=job, number=2).resumed_from.step == left_at
    trained = steps_of(notes)
    assert sorted(trained) == list(range(1, max(trained) + 1)), "no step is missing"
    assert {(world, len(samples)) for world, samples in trained.values()} == {(2, 64)}, "none was made twice"


def ranks_of(bench, job):
    return bench.client.get(f"/api/v1/runs/{job.run.code}/ranks").json()["ranks"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"max_nodes": 2, "launcher": "once"}, "max_nodes", "set launcher to torchrun"),
        ({"max_nodes": 3}, "max_nodes", "expected 1 to max_devices=2"),
        ({"launcher": "mpirun"}, "launcher", "expected once or torchrun"),
        ({"keep": "loss"}, "keep", "expected batch or rate-rule"),
    ],
)
def test_a_job_whose_processes_cannot_be_is_refused_with_what_would_do(bench, notes, fields, field, words):
    with pytest.raises(JobRefused, match=words) as refused:
        training(bench, notes, **fields)
    assert refused.value.field == field


def test_a_plain_script_is_given_other_devices_and_a_run_that_cannot_is_told_why(bench):
    code = """
        import os, pathlib, scaleweb_sdk, time
        resumed = os.environ.get("SCALEWEB_RESUME_STEP")
        run = scaleweb_sdk.init()
        at = int(resumed or 0)
        def save():
            path = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"]) / f"{{run.current_step}}.txt"
            path.write_text("state")
            run.checkpointed(path)
        {offers}run.on_checkpoint(save)
        while not run.should_stop:
            at += 1
            run.step({{"threads": int(os.environ["OMP_NUM_THREADS"])}}, step=at)
            time.sleep(0.01)
    """
    job = bench.python(code.format(offers=""), min_devices=1, max_devices=2)
    running_on(bench, job, 1, 2)
    for devices, words in ((2, "has 2 devices already"), (3, "outside 1..2")):
        with pytest.raises(commands.CommandRefused, match=words):
            rescale(bench.fresh(job), devices)
    rescale(bench.fresh(job), 1)
    running_on(bench, job, 2, 1)
    bench.until(lambda: bench.fresh(job).run.summary.get("threads") == 1)
    deaf = bench.python(code.format(offers="# "), min_devices=1, max_devices=1)
    bench.until(lambda: bench.fresh(deaf).run.state == "running")
    with pytest.raises(commands.CommandRefused, match="save checkpoints in its script"):
        rescale(bench.fresh(deaf), 1)
    for each in (job, deaf):
        jobs.stop(bench.fresh(each), "ada")
        assert bench.until_over(each).retries_used == 0
    assert [a.outcome for a in Attempt.objects.filter(job=job).order_by("number")] == ["rescaled", "stopped"]
