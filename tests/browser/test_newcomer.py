"""A person new to the project, without docs: what went wrong is found, understood, mended, and seen to be mended."""

import re
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from control import effects
from control.models import ControllerSettings
from tests.browser.conftest import trained
from tests.support.wait import until
from training import commands
from training.models import Command

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
REGRESSION = Path(__file__).with_name("training_regression.py")


def applied(run, value):
    return Command.objects.filter(run=run, tunable="lr", state="applied", new_value=value).first()


def test_a_newcomer_finds_the_run_that_diverged_sees_why_and_lowers_its_learning_rate(
    window, operator, live_site, tmp_path
):
    with trained(live_site, tmp_path, REGRESSION) as run:
        until(lambda: run.refresh_from_db() or run.last_step > 80)
        commands.issue(run, "set", tunable="lr", value=0.195, asked_by="bob", reason="faster, I hope")
        bad = until(lambda: applied(run, 0.195))
        page = window().log_in(operator).open("/")
        needs = page.get_by_role("region", name="Needs you")

        def is_named():
            page.reload()
            expect(page.get_by_role("region", name="Running now")).to_be_visible()  # read, and not just empty
            return needs.get_by_text(re.compile(r"loss is broken since step \d+")).count()

        until(is_named, 40, every=1.0)
        running = page.get_by_role("region", name="Running now").get_by_role("listitem")
        expect(running.get_by_role("img", name="diverged")).to_be_visible()
        needs.get_by_role("link", name="bold-otter").click()
        chart = page.get_by_role("region", name="loss", exact=True).locator(".canvas")
        expect(chart).to_have_attribute("data-marks", re.compile(rf"command:{bad.pk}\b"))
        # A straight axis shows the last moments alone; what came before is one click away, and one back.
        loss = page.get_by_role("region", name="loss", exact=True)
        expect(loss).to_contain_text(re.compile(r"Spans \d+ powers of ten\."))
        loss.get_by_role("button", name="Log axis").click()
        loss.get_by_role("button", name="Linear axis").click()
        loss.get_by_role("button", name="Log axis").click()
        expect(loss.get_by_role("button", name="Linear axis")).to_be_visible()
        expect(page.get_by_text("diverged", exact=True)).to_be_visible()
        expect(page.get_by_text(re.compile(r"^loss is broken since step \d+\.$"))).to_be_visible()
        page.get_by_role("link", name="Change lr").click()
        first = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").first
        expect(first).to_contain_text(re.compile(r"0\.03 → 0\.195"))
        expect(first).to_contain_text("faster, I hope")
        lower = page.get_by_role("group", name="Lower values of lr").get_by_role("button")
        expect(lower).to_have_text(
            [f"0.03 worked until step {bad.applied_step:,}", "0.0975 a half", "0.0195 a tenth"]
        )
        lower.nth(1).click()  # is only proposed
        expect(page.get_by_text("0.195 → 0.0975, ÷ 2")).to_be_visible()
        lower.first.click()
        expect(page.get_by_text("0.195 → 0.03, ÷ 6.5")).to_be_visible()
        assert Command.objects.filter(run=run).count() == 1
        page.get_by_role("textbox", name="lr").press("Enter")
        expect(first).to_contain_text(re.compile(r"applied at step [\d,]+: 0\.195 → 0\.03"))
        effects.follow(timezone.now())  # as the controller's tick does, every five seconds
        stages = first.get_by_role("list", name="How far it has come")
        expect(stages).to_contain_text(re.compile("asked.*delivered.*applied at step.*effect at step"))
        # The health follows the evidence and not the window that the trouble began in.
        well = page.get_by_text(
            re.compile(
                r"^loss (falls|is well) again since step [\d,]+, after lr became 0\.03 at step [\d,]+[:;]"
            )
        )
        expect(well).to_be_visible()
        expect(lower).to_have_count(0)
        cured = until(lambda: applied(run, 0.03))
        run.refresh_from_db()
        assert run.last_step < cured.applied_step + 1000
        until(lambda: effects.follow(timezone.now()), 40, every=0.5)
        expect(first).to_contain_text(re.compile(r"better: loss .+ was forecast without it"))
        page.get_by_role("link", name="Experiments").first.click()
        until(lambda: page.reload() or not needs.count(), 40, every=1.0)


def test_selected_runs_are_changed_together_and_a_slip_is_taken_back(window, operator, live_site, tmp_path):
    with (
        trained(live_site, tmp_path, REGRESSION, "first") as one,
        trained(live_site, tmp_path, REGRESSION, "second") as two,
    ):
        page = window().log_in(operator).open(f"/experiments/{one.experiment_id}")
        # Beside the charts there is little room: what a row says of its progress is said whole.
        far = page.locator("td .progress .words").first
        expect(far).to_have_text(re.compile(r"^step [\d,]+$"))
        right = "each => each.getBoundingClientRect().right"
        room = page.locator(".table-scroll").first.evaluate(right)
        assert far.evaluate(right) <= room, "the end of its words is cut off"
        page.get_by_role("checkbox", name="Select all").check()
        asked = []
        page.on("request", lambda request: asked.append(request.url) if "/tunables" in request.url else None)
        page.get_by_role("button", name="Control", exact=True).click()
        dialog = page.get_by_role("dialog", name="Control 2 runs")
        dialog.get_by_label("Tunable").select_option("lr")
        dialog.get_by_label("Times what it is in each run").check()
        dialog.get_by_label("Times", exact=True).fill("0.5")
        dialog.get_by_label("Why (optional)").fill("calmer")
        dialog.get_by_role("button", name="Ask 2 runs").click()
        expect(dialog).to_contain_text("2 of 2 were asked.")
        assert len(asked) == 2, "live figures had the settings read again and again"
        until(lambda: applied(one, 0.015) and applied(two, 0.015))
        dialog.get_by_role("link", name="first").click()
        first = page.get_by_role("list", name="Changes, newest first").get_by_role("listitem").first
        expect(first).to_contain_text("calmer")
        first.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("textbox", name="lr")).to_have_value("0.03")
        until(lambda: applied(one, 0.03))
        assert not applied(two, 0.03), "the other run was not asked"
        page.get_by_role("link", name=re.compile("^Decisions")).click()
        page.get_by_text("Act", exact=True).click()
        told = page.get_by_text("The controller's mode is Act now.").locator("..")
        told.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Taken back.")).to_be_visible()
        assert ControllerSettings.objects.get(experiment=one.experiment).mode == "off"
