"""An attempt over two nodes ends as one: all of its parts are asked, and its devices are free once all have ended."""

import pytest

from monitoring import nodes
from monitoring.live import open_lines
from training.jobs import launch
from training.jobs import submit as jobs
from training.jobs.local import Local, Status
from training.jobs.node_loop import NodeLoop
from training.models import Attempt, Member

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]
# The first node's part leaves when it is asked to; the other's is deaf to everything but SIGKILL.
PART = """
    import json, os, signal, time
    from pathlib import Path
    folder = Path(os.environ["SCALEWEB_SPOOL_DIR"]).parent
    first = not folder.name.endswith(".1")
    signal.signal(signal.SIGTERM, (lambda *_: os._exit(0)) if first else signal.SIG_IGN)
    notes = Path(os.environ["NOTES"])
    (notes / folder.name).touch()
    print("\\rpart", "of the first" if first else "of the other", end="", flush=True)
    while True:
        time.sleep(0.02)
        if first and (notes / "leave").exists():
            (notes / "leave").unlink()
            (folder / "leaving.json").write_text(json.dumps({"devices": 2, "elsewhere": False, "step": 7}))
            os._exit(0)
"""


@pytest.fixture
def gang(bench, settings, tmp_path, monkeypatch):
    """A job with a part on each of two nodes of one slot, both running; `bench.turn` looks at both."""
    settings.STOP_GRACE_SECONDS, settings.PREEMPT_AFTER_SECONDS = 0.4, 0.1
    # The parts themselves, without torchrun's agents: what is tested is who ends them.
    monkeypatch.setattr(launch, "argv_of", lambda attempt, member: attempt.job.argv)
    second = NodeLoop("other")
    for loop in (bench.loop, second):
        slots = [{"kind": "cpu", "index": 0}]
        loop.node = nodes.register(loop.name, {"hostname": loop.name}, slots)
    look = bench.loop.look
    bench.loop.look = lambda: [look(), second.look()]
    notes = tmp_path / "notes"
    notes.mkdir()
    job = bench.python(
        PART, min_devices=2, max_devices=2, max_nodes=2, launcher="torchrun", preemptible="always",
        env={"NOTES": str(notes)},
    )  # fmt: skip
    bench.until(lambda: len(list(notes.iterdir())) == 2)
    job.notes = notes
    return job


def one_after_the_other(bench, job):
    """Turns until the first attempt is over; meanwhile its first part ends long before the deaf one."""
    first, other = (Local(bench.folder / f"{job.code}-1{part}") for part in ("", ".1"))
    apart = []

    def over():
        apart.append((first.status() is Status.ENDED, other.status().living))
        ended = Attempt.objects.get(job=job, number=1).ended_at is not None
        assert not (ended and other.status().living), "its devices are free while a part of it lives"
        return ended

    bench.until(over)
    assert (True, True) in apart
    assert Local(other.folder).exit()["signal"] == "SIGKILL"
    return Attempt.objects.get(job=job, number=1)


def test_the_bar_of_each_part_says_on_which_node_it_is_written(bench, gang):
    def bars() -> list[tuple[str, str]]:
        standing = open_lines.standing(gang.run.source)
        return sorted((each["whose"], text) for each in standing for _, _, text in each["lines"])

    expected = sorted([(bench.loop.name, "part of the first"), ("other", "part of the other")])
    bench.until(lambda: bars() == expected)
    jobs.stop(gang, "ada")
    bench.until_over(gang)


def test_all_parts_of_a_gang_that_gives_way_are_ended_before_the_other_job_has_their_devices(bench, gang):
    urgent = bench.job(["true"], priority=200)
    attempt = one_after_the_other(bench, gang)
    assert (attempt.outcome, bench.fresh(gang).retries_used) == ("preempted", 0)
    assert Member.objects.get(attempt=attempt).state == "ended"
    assert bench.until_over(urgent).state == "done"


def test_all_parts_of_a_gang_that_is_stopped_are_ended_before_it_is_over(bench, gang):
    jobs.stop(gang, "ada")
    assert one_after_the_other(bench, gang).outcome == "stopped"
    assert bench.fresh(gang).state == "stopped"


def test_a_gang_that_leaves_for_other_devices_begins_again_once_all_parts_have_ended(bench, gang):
    (gang.notes / "leave").touch()
    assert one_after_the_other(bench, gang).outcome == "rescaled"
    bench.until(lambda: (gang.notes / f"{gang.code}-2.1").exists())
    assert Attempt.objects.get(job=gang, number=2).devices.count() == 2
