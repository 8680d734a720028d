"""A run's tree of checkpoints, and what goes on from it: resumed, forked, each execution told of."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.models import Device, Node
from tests.browser.axe import violations
from tests.support.domain import a_run
from tests.support.wait import until
from training.models import Attempt, Checkpoint, Job, Run, RunEvent

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


@pytest.fixture
def failed(tmp_path):
    """A run that was rolled back once, whose second attempt failed; a fork of it, and weights it took over."""
    now = timezone.now()
    first = a_run(state="finished", name="the beginning")
    second = a_run(state="finished", name="a first try", parent=first, parent_step=50)
    run = a_run(
        state="failed", name="deep-otter", parent=second, parent_step=70,
        config={"lr": 0.1, "model": {"depth": 2}}, last_step=420, started_at=now,
        ended_at=now, summary={"loss": 0.4},
        branches=[
            {"index": 0, "from_step": 0, "reason": "start"},
            {"index": 1, "from_step": 200, "reason": "rollback", "at": now.isoformat()},
        ],
    )  # fmt: skip
    job = Job.objects.create(
        run=run,
        argv=["python", "train.py", "--lr", "0.1"],
        state="failed",
        max_devices=2,
        max_retries=1,
        retries_used=1,
    )
    node = Node.objects.create(name="n1", hostname="n1", last_seen_at=now)
    Device.objects.bulk_create(Device(node=node, kind="cpu", index=index) for index in range(2))
    saved = {}
    for step, branch, gone, kept, pinned in [
        (0, 0, False, [], True), (100, 0, True, [], False), (150, 0, True, [], False), (200, 0, False, ["loss"], False),
        (300, 0, False, [], False), (400, 1, False, ["newest"], False),
    ]:  # fmt: skip
        saved[step] = Checkpoint.objects.create(
            run=run, step=step, branch=branch, path=str(tmp_path / f"step-{step}.pt"), size_bytes=4_200_000,
            metrics={"loss": 2 / (1 + step / 100), "val/accuracy": step / 500}, available=not gone, kept_by=kept,
            pinned=pinned,
        )  # fmt: skip
    for number, outcome in ((1, "lost"), (2, "failed")):
        Attempt.objects.create(
            job=job, number=number, node=node, lease_expires_at=now, state="ended", outcome=outcome, started_at=now,
            ended_at=now, exit_code=1 if number == 2 else None, resumed_from=saved[200] if number == 2 else None,
            first_error_line="ValueError: the batch is empty" if number == 2 else "",
        )  # fmt: skip
    child = Run.objects.create(
        experiment=run.experiment,
        name="wider",
        parent=run,
        parent_step=200,
        state="finished",
        last_step=900,
        summary={"loss": 0.31},
    )
    Job.objects.create(
        run=child, argv=["x"], start_from={"checkpoint": saved[200].pk, "run": run.code, "step": 200}
    )
    Run.objects.create(
        experiment=run.experiment, name="wider still", parent=child, parent_step=500, state="finished"
    )
    giver = Run.objects.create(experiment=run.experiment, name="the best", state="finished")
    RunEvent.objects.create(
        run=run,
        kind="lineage",
        step=350,
        new=giver.code,
        actor="population",
        data={"step": 320, "checkpoint": 1},
    )
    return run, saved


def test_from_the_tree_a_run_is_forked_and_resumed_and_its_attempts_are_told(window, operator, failed):
    run, saved = failed
    window.allowed.append("status of 400")
    # As the mark of one leads here that is gone by now: it is told of in a line that unfolds.
    page = window().log_in(operator).open(f"/runs/{run.code}?tab=checkpoints&at={saved[150].pk}")
    expect(page.get_by_text("found broken: 100, 150")).to_be_in_viewport()
    page.get_by_role("button", name=re.compile("2 checkpoints are gone")).press("Enter")
    expect(page.get_by_text("found broken: 100, 150")).to_have_count(0)
    tree = page.get_by_role("list", name="Checkpoints and lineage, oldest first")
    lines = tree.get_by_role("listitem")
    expect(lines).to_contain_text(
        [
            "a first try went on from step 50 of the beginning", "Goes on from step 70 of a first try",
            "step 0", "2 checkpoints are gone, steps 100 to 150", "step 200", "wider", "wider still",
            "Went back to step 200", "step 300",
            "Took over the weights of step 320 of the best", "step 400", "ended at step 420",
        ]
    )  # fmt: skip
    expect(lines.nth(4)).to_contain_text("least loss")
    tree.get_by_role("button", name=re.compile("^step 0")).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(lines.nth(4)).to_contain_text("the least loss so far")
    assert violations(page) == []
    lines.nth(4).get_by_role("button", name="Pin", exact=True).click()
    expect(lines.nth(4).get_by_role("button", name="Unpin")).to_be_visible()

    lines.nth(4).get_by_role("button", name="Fork…").click()
    dialog = page.get_by_role("dialog", name="Fork from step 200")
    expect(dialog).to_contain_text("Nothing: the same command")
    dialog.get_by_label("Command, an argument a line").fill("python\ntrain.py\n--lr\n0.03")
    dialog.get_by_label("Changes of the config").fill("model.depth=4")
    dialog.get_by_label("Changes of the environment").fill("SCALEWEB_RUN=x")
    differs = dialog.get_by_role("region", name="What differs from deep-otter")
    expect(differs.get_by_role("listitem")).to_contain_text(["0.1", "SCALEWEB_RUN", "model.depth"])
    assert violations(page) == []
    dialog.get_by_role("button", name="Fork", exact=True).click()
    expect(dialog.get_by_text("SCALEWEB_RUN is set by ScaleWeb itself")).to_be_visible()
    dialog.get_by_label("Changes of the environment").fill("SEED=3")
    dialog.get_by_role("button", name="Fork", exact=True).click()
    expect(page.get_by_role("heading", name="deep-otter from step 200")).to_be_visible()
    made = Run.objects.select_related("job").get(name="deep-otter from step 200")
    assert (made.parent, made.config) == (run, {"lr": 0.1, "model": {"depth": 4}})
    assert (made.job.argv[-1], made.job.env) == ("0.03", {"SEED": "3"})

    page.goto(f"/runs/{run.code}?tab=system")
    attempts = page.get_by_role("region", name="Attempts").get_by_role("listitem")
    expect(attempts).to_contain_text(["exit code 1: ValueError: the batch is empty", "lost"])
    expect(attempts.first).to_contain_text("from step 200")
    devices = page.get_by_role("region", name="Devices")
    expect(devices).to_contain_text("1 to 2 CPU slots")
    expect(devices).to_contain_text("It cannot be rescaled while it runs")

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("dialog", name="Resume from step 400?")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name=re.compile("^Checkpoints")).click()
    tree.get_by_role("button", name=re.compile("^step 200")).click()
    tree.get_by_role("button", name="Resume from here").click()
    dialog = page.get_by_role("dialog", name="Resume from step 200?")
    expect(dialog).to_contain_text("faded branch")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator("header").first.get_by_text("queued", exact=True)).to_be_visible()
    until(lambda: Job.objects.get(run=run).start_from.get("checkpoint") == saved[200].pk)
