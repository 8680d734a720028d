"""A training of two ranks from its page: a change that one of them refuses, the script's buttons, other devices."""

# ruff: noqa: F811 (fixtures named as arguments)

import re
import sys
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.jobs.conftest import bench, experiment  # noqa: F401
from tests.support.domain import a_member, a_run
from training import commands
from training.models import Attempt, Command, Rank, Tunable

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
SCRIPT = Path(__file__).with_name("training_gang.py")


def test_a_gang_is_changed_whole_or_not_at_all_and_goes_on_with_other_devices(window, bench, experiment):
    ada = a_member(experiment.project, "ada")
    job = bench.job(
        [sys.executable, str(SCRIPT)], user=ada, launcher="torchrun", min_devices=1, max_devices=2
    )

    def runs_on(devices: int) -> bool:
        run = bench.fresh(job).run
        offered = [offer["parameters"][0]["value"] for offer in run.offers if offer["verb"] == "rescale"]
        return run.state == "running" and offered == [devices]

    bench.until(lambda: runs_on(2), 90)
    run = job.run
    page = window().log_in(ada).open(f"/runs/{run.code}?tab=control")
    newest = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").first
    lr, width = (page.get_by_role("textbox", name=name, exact=True) for name in ("lr", "width"))
    lr.fill("0.05")
    width.fill("20")
    page.get_by_role("button", name="Apply together").click()
    # Who refused, what, and why, whichever rank is heard first; and that nothing of it holds.
    refused = "refused: rank 1: refused as a whole: width: there is no room for a width of 20 here"
    expect(newest).to_contain_text("lr to 0.05")
    expect(newest).to_contain_text("width to 20")
    expect(newest).to_contain_text(refused)
    expect(newest).to_contain_text("one of several, all or none")
    bench.until(lambda: all(len(each.acks) == 2 for each in Command.objects.filter(run=run)))
    assert {each.state for each in Command.objects.filter(run=run)} == {"rejected"}
    assert {tunable.name: tunable.value for tunable in Tunable.objects.filter(run=run)}["lr"] == 0.1
    page.reload()
    expect(lr).to_have_value("0.1")
    expect(width).to_have_value("5")
    expect(newest).to_contain_text(refused)

    # A button of the script with figures of its own: held against their bounds, refused by the script, done.
    sample = page.get_by_role("form", name="sample")
    sample.get_by_label("count").fill("12")
    expect(sample.get_by_text("count is between 1 and 9.")).to_be_visible()
    expect(sample.get_by_role("button", name="sample")).to_be_disabled()
    sample.get_by_label("count").fill("7")
    sample.get_by_label("style").select_option("loud")
    sample.get_by_role("button", name="sample").click()
    expect(newest).to_contain_text("refused: rank 0: not more than 5 loud ones")
    sample.get_by_label("count").fill("4")
    sample.get_by_role("button", name="sample").click()
    expect(newest).to_contain_text(re.compile(r"sample.*applied at step", re.S))
    assert Command.objects.filter(run=run, verb="action").latest("seq").value == {"count": 4, "style": "loud"}

    # Other devices: asked for, agreed by all ranks, and seen to the end without a reload.
    page.get_by_role("link", name="System").click()
    devices = page.get_by_role("region", name="Devices", exact=True)
    expect(devices).to_contain_text("cpu0, cpu1 on bench")
    rescale = devices.get_by_role("button", name="Rescale…")
    expect(rescale).to_be_disabled()  # as it is now is no order
    devices.get_by_label("Devices").fill("3")
    expect(devices.get_by_text("devices is between 1 and 2.")).to_be_visible()
    expect(rescale).to_be_disabled()
    devices.get_by_label("Devices").fill("1")
    rescale.click()
    dialog = page.get_by_role("dialog", name="Go on with other devices?")
    expect(dialog).to_contain_text("All ranks save a checkpoint at one step and leave")
    dialog.get_by_role("button", name="Rescale", exact=True).click()
    expect(dialog).to_be_hidden()
    bench.until(lambda: runs_on(1), 90)
    assert [each.outcome for each in Attempt.objects.filter(job=job).order_by("number")] == ["rescaled", ""]
    expect(devices).to_contain_text(re.compile(r"cpu\d on bench"))
    expect(devices).not_to_contain_text("cpu0, cpu1")
    expect(devices).to_contain_text("1 by rescale")
    expect(devices.get_by_label("Devices")).to_have_value("1")
    expect(rescale).to_be_disabled()
    attempts = page.get_by_role("region", name="Attempts").get_by_role("listitem")
    expect(attempts).to_have_count(2)
    expect(attempts.filter(has_text="rescaled")).to_have_count(1)
    assert violations(page) == []
    page.get_by_role("link", name=re.compile("^Control")).click()
    expect(newest).to_contain_text(re.compile(r"Rescale.*applied at step", re.S))


def test_where_ranks_that_decide_alone_did_not_answer_alike_the_page_says_where_a_change_holds(
    window, operator
):
    run = a_run(state="running", name="wide-heron", process={"world_size": 3})
    for rank in range(3):
        Rank.objects.create(run=run, rank=rank, world_size=3, connected_at=timezone.now(), process={})
    Tunable.objects.create(run=run, name="lr", kind="float", value=0.1, initial=0.1)
    page = window().log_in(operator).open(f"/runs/{run.code}?tab=control")
    expect(page.get_by_role("textbox", name="lr")).to_have_value("0.1")
    command = commands.issue(run, "set", tunable="lr", value=0.2, asked_by="ada")
    commands.orders_after(run, 0)
    newest = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").first
    expect(newest).to_contain_text("acknowledged by 0 of 3 ranks")
    for rank, message in enumerate(["", "", "its memory is full"]):
        told = {"seq": command.seq, "ok": not message, "message": message, "old_value": 0.1, "new_value": 0.2}
        commands.record_outcome(run, rank, 7, told)
    expect(newest).to_contain_text("applied at step 7: 0.1 → 0.2")
    expect(newest).to_contain_text(
        "It holds in 2 of the 3 ranks that answered. Rank 2 refused: its memory is full"
    )
