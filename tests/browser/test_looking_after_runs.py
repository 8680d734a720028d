"""What people write of runs and do to many at once, and what the charts of several runs mark."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from control.models import Decision
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from tests.support.wait import until
from training.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


@pytest.fixture
def runs():
    first = a_run(state="finished", name="first")
    second = Run.objects.create(experiment=first.experiment, name="second", state="finished")
    steps = list(range(20))
    column = Column(
        key="loss",
        steps=steps,
        times=[1.7e9 + s for s in steps],
        values=[2.0 - s / 20 for s in steps],
    )
    for run in (first, second):
        series.append(run.source, "a" * 32, [Batch(seq=1, columns=[column])])
        Run.objects.filter(pk=run.pk).update(summary={"loss": 1.05}, last_step=19)
    return first, second


def test_a_run_gets_a_name_tags_and_notes_and_is_deleted_in_the_end(window, operator, runs):
    page = window().log_in(operator).open(f"/runs/{runs[0].code}")
    page.get_by_role("button", name="Edit name, tags and notes").click()
    dialog = page.get_by_role("dialog", name="Edit run")
    dialog.get_by_label("Name").fill("warm-up of 200")
    dialog.get_by_label("Tags").fill("baseline, warm-up, baseline")
    dialog.get_by_label("Notes").fill("Half a warm-up was too short.\n<img src=x onerror=alert(1)>")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="warm-up of 200")).to_be_visible()
    page.get_by_role("link", name="Notes").click()
    expect(page.get_by_text("Half a warm-up was too short.")).to_be_visible()
    expect(page.get_by_text("<img src=x")).to_be_visible()
    runs[0].refresh_from_db()
    assert runs[0].tags == ["baseline", "warm-up"]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="first")).to_be_visible()
    runs[0].refresh_from_db()
    assert (runs[0].name, runs[0].tags, runs[0].notes) == ("first", [], "")
    page.get_by_role("button", name="Edit name, tags and notes").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the run").click()
    expect(page.get_by_role("link", name="second", exact=True)).to_be_visible()
    assert not Run.objects.filter(pk=runs[0].pk).exists()


def test_chosen_runs_are_tagged_and_deleted_together(window, operator, runs):
    page = window().log_in(operator).open(f"/experiments/{runs[0].experiment_id}")
    page.get_by_role("checkbox", name="Select all").check()
    page.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog").get_by_label("Tags to add").fill("old")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("2 runs were tagged.")).to_be_visible()
    assert list(Run.objects.values_list("tags", flat=True)) == [["old"], ["old"]]
    page.get_by_role("checkbox", name="Select first").check()
    page.get_by_role("button", name="Delete the selected runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1 run was deleted.")).to_be_visible()
    assert [run.name for run in Run.objects.all()] == ["second"]


def test_a_decision_is_marked_on_the_experiments_charts_and_opens(window, operator, runs):
    decision = Decision.objects.create(
        run=runs[1], policy="learning_rate", state="judged", mode="act", verdict="better", verb="set", tunable="lr",
        old_value=0.1, new_value=0.3, reason="loss falls slowly", decided_step=10, judge_at_step=15,
    )  # fmt: skip
    page = window().log_in(operator).open(f"/experiments/{runs[0].experiment_id}")
    panel = page.get_by_role("region", name="loss", exact=True)
    drawn = panel.locator(".canvas[data-marks]")
    until(lambda: f"decision:{decision.pk}" in (drawn.get_attribute("data-marks") or ""), 10)
    box = panel.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 10 / 19, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile("second: learning_rate .*loss falls slowly"))).to_be_visible()
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"/runs/{runs[1].code}\?tab=decisions&at={decision.pk}"))


def test_any_run_or_page_is_a_few_letters_away(window, operator, runs):
    page = window().log_in(operator).open("/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    page.keyboard.press("Control+k")
    typed = page.get_by_role("combobox", name="Pages, experiments, runs and actions")
    expect(typed).to_be_focused()
    typed.fill("second")
    expect(page.get_by_role("option", name=re.compile("second"))).to_be_visible()
    typed.press("Enter")
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    page.keyboard.press("Control+k")
    typed.fill("queu")
    typed.press("Enter")
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()


def test_an_experiments_page_tells_what_the_controller_did_and_how_well(window, operator, runs):
    for number, verdict in enumerate(("better", "better", "worse")):
        Decision.objects.create(
            run=runs[1], policy="learning_rate", state="judged" if verdict == "better" else "undone", mode="act",
            verdict=verdict, verb="set", tunable=f"lr{number}", old_value=0.1, new_value=0.3, reason="slow",
            trial=True, decided_step=10, applied_step=10, judge_at_step=15, judged_at=timezone.now(),
            measured={"difference": -0.4, "sentence": "loss was 40 % below the forecast.", "saved_steps": 5},
            forecast={"metric": "loss", "log": True, "direction": "min"},
        )  # fmt: skip
    page = window().log_in(operator).open(f"/experiments/{runs[0].experiment_id}")
    page.get_by_role("link", name="Controller", exact=True).click()
    told = page.get_by_role("region", name="What the controller did for you")
    expect(told.get_by_text("3 trials: 2 kept, 1 taken back.")).to_be_visible()
    expect(page.get_by_role("img", name="3 verdicts on 1 day")).to_be_visible()
    for name, beginning in (
        ("Verdicts by day as CSV", "policy,day,better"),
        ("Every decision as CSV", "id,run,policy"),
    ):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.path().read_text().startswith(beginning)
    told.get_by_role("link", name=re.compile(r"lr. 0.1 → 0.3")).click()
    expect(page.get_by_text("loss was 40 % below the forecast.").first).to_be_visible()
