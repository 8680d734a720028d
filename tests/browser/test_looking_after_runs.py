"""What people write of runs and do to many at once, and what the charts of several runs mark."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alerts.models import Alert, Rule
from control.models import Decision
from monitoring.models import Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from tests.support.wait import until
from training.models import Checkpoint, Command, Run, RunEvent

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
    alone = Column(key="accuracy", steps=steps, times=column.times, values=[s / 20 for s in steps])
    for run, columns in ((first, [column]), (second, [column, alone])):
        series.append(run.source, "a" * 32, [Batch(seq=1, columns=columns)])
        summary = {each.key: each.values[-1] for each in columns}
        Run.objects.filter(pk=run.pk).update(summary=summary, last_step=19)
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
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    both = page.get_by_role("region", name="Differences").get_by_role("columnheader")
    expect(both).to_have_text(["second", "first"])
    lacking = page.get_by_role("region", name="accuracy", exact=True)
    expect(lacking).to_contain_text("first has no point of this")
    expect(page.get_by_role("region", name="loss", exact=True)).not_to_contain_text("no point of this")
    page.go_back()
    page.get_by_role("checkbox", name="Select all").check()
    page.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog").get_by_label("Tags to add").fill("old")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("2 runs were tagged.")).to_be_visible()
    assert list(Run.objects.values_list("tags", flat=True)) == [["old"], ["old"]]
    page.get_by_role("checkbox", name="Select first").check()
    page.get_by_role("button", name="Draw only these").click()
    expect(page.locator("[aria-pressed=true][aria-label^='Draw ']")).to_have_count(1)
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


def test_a_mark_stands_on_a_time_axis_by_the_clock_of_its_own_run(window, operator):
    """One machine's clock is a day ahead: its points are of tomorrow, and a command to it is of today."""
    day, steps, pressed = 86_400, list(range(20)), {}
    now = timezone.now()
    for name, ahead in (("right", 0), ("ahead", day)):
        run = a_run(state="finished", name=name, summary={"loss": 1.0}, last_step=19)
        times = [now.timestamp() + ahead + 3600 * (step - 10) for step in steps]
        column = Column(key="loss", steps=steps, times=times, values=[1.0 + bool(ahead)] * 20)
        series.append(run.source, "a" * 32, [Batch(seq=1, columns=[column])])
        if ahead:
            noted = {"clock_of": "a" * 32, "clock_ahead_seconds": ahead}
            RunEvent.objects.create(run=run, kind="note", data=noted)
        pressed[name] = Command.objects.create(
            run=run, seq=1, verb="checkpoint", asked_by="ada", state="applied", applied_at=now
        )
    page = window().log_in(operator).open(f"/experiments/{run.experiment_id}")
    page.get_by_label("Horizontal axis").select_option("time")
    panel = page.get_by_role("region", name="loss", exact=True)
    drawn = panel.locator(".canvas[data-marks]")
    until(lambda: len((drawn.get_attribute("data-marks") or "").split()) == 2)
    first, last = (float(end) for end in drawn.get_attribute("data-range").split())
    for name, command in pressed.items():
        x = now.timestamp() + (day if name == "ahead" else 0)
        box = panel.locator(".u-over").bounding_box()
        page.mouse.move(box["x"] + box["width"] * (x - first) / (last - first), box["y"] + box["height"] + 6)
        expect(panel.locator(".tip .mark")).to_have_text([f"{name}: checkpoint, by ada"])
        page.mouse.down()
        page.mouse.up()
        expect(page).to_have_url(re.compile(rf"/runs/{command.run.code}\?tab=control&at={command.pk}$"))
        page.go_back()


def mark_everything(run) -> dict[str, int]:
    """A mark of each kind, far enough apart, but for a roll back and what a reflex did there."""
    now = timezone.now()
    project = run.experiment.project
    applied = {"run": run, "asked_by": "ada", "state": "applied", "applied_at": now}
    rate = {"verb": "set", "tunable": "lr", "value": 0.3, "old_value": 0.1, "new_value": 0.3}
    made = {"rate": Command.objects.create(seq=1, **rate, applied_step=2, **applied)}
    for seq in range(2, 40):  # and more since than are shown at first
        Command.objects.create(seq=seq, verb="action", tunable="evaluate", **applied)
    made["saved"] = Checkpoint.objects.create(run=run, step=5, path="/nowhere/step-5.pt", size_bytes=1)
    back = {"verb": "rollback", "value": {"step": 5, "checkpoint": made["saved"].pk}}
    rule = Rule.objects.create(
        project=project, name="Loss is high", condition="run_figure", severity="critical"
    )
    Alert.objects.create(
        rule=rule, subject=f"run:{run.code}", label=run.name, project=project, run=run,
        message="It stands at 9.", step=8, started_at=now, fired_at=now,
    )  # fmt: skip
    made["restarted"] = RunEvent.objects.create(
        run=run, step=12, kind="resumed", reason="from step 10 on node-a"
    )
    made["back"] = Command.objects.create(seq=40, **back, applied_step=15, **applied)
    # The same once more.
    branch = {"index": 1, "from_step": 5, "reason": "rollback"}
    RunEvent.objects.create(run=run, step=5, kind="branch", reason="rollback from step 5", data=branch)
    made["skipped"] = RunEvent.objects.create(
        run=run, step=15, kind="reflex", reason="a loss of NaN, skipped"
    )
    return {name: row.pk for name, row in made.items()}


def test_each_mark_on_a_runs_chart_opens_what_it_marks_and_those_of_one_place_are_chosen_from(
    window, operator, runs
):
    made = mark_everything(runs[1])
    page = window().log_in(operator).open(f"/runs/{runs[1].code}")
    panel = page.get_by_role("region", name="loss", exact=True)

    def press(step: int, words: str) -> None:
        expect(panel.locator(".canvas[data-marks]")).to_have_attribute(
            "data-marks", re.compile("branch|event")
        )
        panel.scroll_into_view_if_needed()
        box = panel.locator(".u-over").bounding_box()
        page.mouse.move(
            box["x"] + box["width"] * step / 19, box["y"] + box["height"] + 6
        )  # below the plot, on the mark itself
        expect(panel.locator(".tip")).to_contain_text(words)
        page.mouse.down()
        page.mouse.up()

    for step, words, tab, name in (
        (2, "lr: 0.1 → 0.3, by ada", "control", "rate"),
        (5, "checkpoint at step 5", "checkpoints", "saved"),
        (12, "from step 10 on node-a", "events", "restarted"),
    ):
        press(step, words)
        expect(page).to_have_url(re.compile(rf"tab={tab}&at={made[name]}$"))
        # However long the list is, what was meant is seen in it.
        named = page.locator("li.highlight, li.open")
        expect(named).to_have_count(1)
        expect(named).to_be_in_viewport()
        page.go_back()
    for name, tab in (("back", "control"), ("skipped", "events")):
        press(15, "roll back to step 5, by ada")
        choice = page.get_by_role("dialog", name="2 marks here")
        expect(choice.get_by_role("button", name="step 15")).to_have_count(2)
        choice.get_by_role("button", name=re.compile("by ada" if name == "back" else "skipped")).click()
        expect(page).to_have_url(re.compile(rf"tab={tab}&at={made[name]}$"))
        page.go_back()
    press(8, "Loss is high: It stands at 9.")
    expect(page).to_have_url(re.compile(rf"/alerts\?run={runs[1].code}$"))
    expect(page.get_by_text("It stands at 9.")).to_be_visible()


def test_the_crosshair_tells_of_what_a_roll_back_left_behind_only_where_it_was(window, operator, runs):
    run = runs[0]  # its steps 10 to 19 are left behind, for others up to 29
    steps = list(range(11, 30))
    again = Column(key="loss", steps=steps, times=[1.7e9 + 50 + s for s in steps], values=[1.0] * len(steps))
    series.append(run.source, "b" * 32, [Batch(seq=1, branch=1, columns=[again])])
    begun = [
        {"index": 0, "from_step": 0, "reason": "start"},
        {"index": 1, "from_step": 10, "reason": "rollback"},
    ]
    Run.objects.filter(pk=run.pk).update(branches=begun, last_step=29)
    page = window().log_in(operator).open(f"/runs/{run.code}")
    panel = page.get_by_role("region", name="loss", exact=True)
    expect(panel.locator(".canvas")).to_have_attribute("data-faded", "1")
    box = panel.locator(".u-over").bounding_box()
    for step, told in ((15, ["first 1", "first left behind 1.25"]), (25, ["first 1"])):
        page.mouse.move(box["x"] + box["width"] * step / 29, box["y"] + box["height"] - 5)
        expect(panel.locator(".tip .head")).to_contain_text(f"step {step}")
        expect(panel.locator(".tip .reading")).to_have_text(told)


def test_any_run_or_page_is_a_few_letters_away(window, operator, runs):
    page = window().log_in(operator).open("/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    page.keyboard.press("Control+k")
    typed = page.get_by_role("combobox", name="Pages, experiments, runs, nodes and actions")
    expect(typed).to_be_focused()
    typed.fill("second")
    expect(page.get_by_role("option", name=re.compile("second"))).to_be_visible()
    typed.press("Enter")
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    page.keyboard.press("Control+k")
    typed.fill("queu")
    typed.press("Enter")
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()
    # A node by its name, or by what it has.
    node = Node.objects.create(name="rack-7.a", hostname="r7a.lab", state="lost", labels={"pool": "night"})
    node.devices.create(kind="gpu", index=0, name="NVIDIA H100")
    for words in ("rack", "h100 night"):
        page.keyboard.press("Control+k")
        typed.fill(words)
        found = page.get_by_role("dialog").get_by_role("option", selected=True)
        expect(found).to_have_text(re.compile("rack-7.a.*node · lost"))
        typed.press("Enter")
        expect(page.get_by_role("heading", name="rack-7.a", exact=True)).to_be_visible()


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
