"""Trainings that are paused, saved, resumed and stopped together, and what each of them answers."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import trained
from tests.support.domain import a_run
from tests.support.wait import until
from training.models import Checkpoint, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def ask(page: Page, verb: str):
    """All three are asked; the dialog with what came of it."""
    page.get_by_role("checkbox", name="Select all").check()
    page.get_by_role("button", name="Control", exact=True).click()
    dialog = page.get_by_role("dialog", name="Control 3 runs")
    dialog.get_by_label("What to do").select_option(label=verb)
    dialog.get_by_role("button", name="Ask 3 runs").click()
    expect(dialog.get_by_role("status")).to_have_text("2 of 3 were asked.")
    return dialog


def test_chosen_runs_are_paused_saved_resumed_and_stopped_and_who_cannot_says_why(
    window, operator, live_site, tmp_path
):
    def states() -> list[str]:
        return [Run.objects.get(name=name).state for name in ("first", "second", "over")]

    with (
        trained(live_site, tmp_path, name="first") as one,
        trained(live_site, tmp_path, name="second") as two,
    ):
        a_run(state="finished", name="over")
        page = window().log_in(operator).open(f"/experiments/{one.experiment_id}?layout=table")
        expect(page.get_by_role("link", name="over", exact=True)).to_be_visible()
        for verb, state in (("Pause", "paused"), ("Resume", "running")):
            dialog = ask(page, verb)
            answers = dialog.get_by_role("list", name="What came of it").get_by_role("listitem")
            expect(answers).to_have_count(3)
            expect(answers.filter(has=page.get_by_role("link", name="first", exact=True))).to_contain_text(
                "asked"
            )
            over = answers.filter(has=page.get_by_role("link", name="over", exact=True))
            expect(over).to_contain_text("finished")
            expect(over).to_have_class(re.compile(r"\bbad\b"))
            dialog.get_by_role("button", name="Close").last.click()
            until(lambda state=state: states() == [state, state, "finished"], 30)
            # The selection is done with, and the table tells what became of them.
            expect(page.get_by_role("checkbox", name="Select first")).not_to_be_checked()
            row = page.get_by_role("row").filter(has=page.get_by_role("link", name="first", exact=True))
            expect(row).to_contain_text(state)
        ask(page, "Save a checkpoint").get_by_role("button", name="Close").last.click()
        until(lambda: all(Checkpoint.objects.filter(run=run).exists() for run in (one, two)), 30)
        ask(page, "Stop").get_by_role("button", name="Close").last.click()
        until(lambda: states() == ["stopped", "stopped", "finished"], 30)
