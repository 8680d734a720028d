"""Each dialog, a shared view and notes in Markdown: nothing against WCAG 2.2 AA, room on a phone, closed by a key."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from alerts.models import Alert, Rule
from control.models import Decision
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.browser.axe import in_both_themes
from tests.support.domain import a_member, a_project, a_run
from training.models import Checkpoint, Job, SavedView, Tunable, ViewLink

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
NOTES = """# What was tried

Rate **0.1**, see [the first](https://example.org) and `train.py`.

> It went *well*.

- [x] warm up
- [ ] cool down

| rate | loss |
| --- | --- |
| 0.1 | 0.3 |

```
python train.py --lr 0.1
```
"""
# Without motion: a colour on its way from one theme to the other is none to judge.
LOOKS = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "reduced_motion": "reduce"}
# Once it is laid out for the new size: what of it is out of view, or "".
OUT_OF_VIEW = """each => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const box = each.getBoundingClientRect();
  const wide = each.scrollWidth - each.clientWidth;
  const out = box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight || wide > 0;
  done(out ? `${JSON.stringify(box)}, ${wide} too wide, of ${innerWidth} x ${innerHeight}` : "");
})))"""


@pytest.fixture
def admin(live_site):
    user = a_member(a_project(), "ada")
    user.is_superuser = user.is_staff = True
    user.save()
    return user


@pytest.fixture
def world(admin, tmp_path):
    """A run that trains and waits for a word, one that ended with a checkpoint, and a view of both that is shared."""
    now = timezone.now()
    live = a_run(state="running", name="bold-otter", started_at=now, summary={"loss": 0.5}, last_step=30)
    Tunable.objects.create(
        run=live, name="lr", kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0, scale="log",
        role="learning_rate",
    )  # fmt: skip
    Decision.objects.create(
        run=live, policy="learning_rate", state="proposed", mode="advise", reason="the loss is noisy", tunable="lr",
        old_value=0.1, new_value=0.05, changes=[{"verb": "set", "tunable": "lr", "value": 0.05, "old_value": 0.1}],
        decided_step=20, judge_at_step=80,
    )  # fmt: skip
    over = a_run(
        state="finished", name="calm-heron", started_at=now, ended_at=now, notes=NOTES, summary={"loss": 0.3},
        last_step=30, tags=["kept"], config={"lr": 0.1},
    )  # fmt: skip
    Job.objects.create(run=over, argv=["python", "train.py"], state="done")
    Checkpoint.objects.create(
        run=over, step=20, path=str(tmp_path / "20.pt"), metrics={"loss": 0.4}, pinned=True
    )
    Checkpoint.objects.create(run=live, step=20, path=str(tmp_path / "live.pt"), metrics={"loss": 0.6})
    for run in (live, over):
        steps = list(range(30))
        column = Column(
            "loss", steps, [time.time() - 60 + step for step in steps], [1 / (1 + step) for step in steps]
        )
        series.append(run.source, "s", [Batch(1, columns=[column])])
    rule = Rule.objects.create(project=live.experiment.project, name="Stands still", condition="stalled")
    Alert.objects.bulk_create(
        Alert(rule=rule, subject=f"s{n}", label=f"run {n}", project=rule.project, message="m", started_at=now,
              fired_at=now, resolved_at=now)
        for n in range(101)
    )  # fmt: skip
    view = SavedView.objects.create(
        experiment=live.experiment, owner=admin, name="Both", state={"version": 1}, shared=True
    )
    return live, over, view


def test_every_dialog_is_accessible_fits_a_phone_and_closes_by_a_key(window, admin, world):
    live, over, view = world
    page = window(**LOOKS).log_in(admin).open("/")
    wrong: list[str] = []

    def button(*names: str) -> None:
        for name in names:
            page.get_by_role("button", name=name, exact=True).first.click()

    def look(title: str, *names: str, key: str = "") -> None:
        if key:
            page.keyboard.press(key)
        button(*names)
        wrong.extend(of_dialog(page, title))

    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    look("Go to, or do", key="Control+k")
    look("Keyboard shortcuts", key="?")
    look("New experiment", "New experiment")
    look("Waits for an answer", "1 waits for an answer")
    page.goto(f"/experiments/{live.experiment_id}")
    expect(page.get_by_role("link", name="calm-heron", exact=True).first).to_be_visible()
    look("Filter runs", "Filter")
    look("Group runs by equal values", "Group")
    look("Columns", "Columns")
    look("Edit experiment", "Edit")
    look("Save this view", "Saved views", "Save as a new view")
    button("Saved views")
    wrong += [f"the menu of views: {each}" for each in in_both_themes(page, within=".menu:popover-open")]
    page.keyboard.press("Escape")
    look("Add a panel", "Add a panel")
    for name in ("bold-otter", "calm-heron"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    look("Tag 2 runs", "Tag")
    look("Control 2 runs", "Control")
    look("Delete 2 runs?", "Delete the selected runs")
    page.goto(f"/experiments/{live.experiment_id}?view={view.code}")
    page.get_by_role("button", name="Saved views: Both").click()
    look("Share “Both”", "Share “Both”")
    page.goto(f"/experiments/{live.experiment_id}?tab=controller")
    look("Controller", "Policies and guards")
    page.goto(f"/runs/{live.code}?tab=control")
    look("Stop bold-otter?", "Stop")
    look("Edit run", "Edit name, tags and notes")
    look("Schedule lr", "Schedule…")
    look("Roll back to step 20?", "Roll back")
    page.goto(f"/runs/{over.code}?tab=checkpoints")
    look("Resume from step 20?", "Resume")
    page.get_by_role("button", name="step 20").click()
    look("Fork from step 20", "Fork…")
    page.goto(f"/runs/{over.code}?tab=config")
    look("Compare settings with", "Compare with a run")
    page.goto("/nodes")
    look("Add a node", "Add a node")
    page.goto("/alerts?tab=rules")
    look("New rule", "New rule")
    page.get_by_role("button", name="Mute Stands still").click()
    wrong += [f"the menu of mute: {each}" for each in in_both_themes(page, within=".menu:popover-open")]
    page.get_by_role("button", name="Until…").click()
    wrong += of_dialog(page, "Mute Stands still")
    look("Edit rule", "Edit")
    page.goto("/alerts?tab=past")
    expect(page.get_by_role("button", name="Show older")).to_be_visible()
    wrong += [f"past alerts: {each}" for each in in_both_themes(page)]
    page.goto("/queue")
    look("Quota of a project", "Set a quota")
    page.goto("/alerts?tab=channels")
    look("New channel", "New channel")
    page.goto("/settings")
    page.get_by_label("Name").fill("laptop")
    button("Create token")
    expect(page.get_by_text("Copy it now; it is not shown again.")).to_be_visible()
    wrong += in_both_themes(page)
    look("Revoke laptop?", "Revoke laptop")
    assert not wrong, "\n".join(wrong)


def of_dialog(page: Page, title: str) -> list[str]:
    """What is wrong with the dialog of that name, which is open; it is closed by Escape, and the focus is back."""
    dialog = page.get_by_role("dialog", name=title, exact=True)
    expect(dialog).to_be_visible()
    expect(dialog.locator(".skeleton")).to_have_count(0)
    found = in_both_themes(page, within="dialog[open]")
    page.set_viewport_size({"width": 390, "height": 844})
    if out := dialog.evaluate(OUT_OF_VIEW):
        found.append(f"it does not fit a phone: {out}")
    page.set_viewport_size({"width": 1440, "height": 900})
    if not dialog.evaluate("each => each.contains(document.activeElement)"):
        found.append("the focus is not in it")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    return [f"{title}: {each}" for each in found]


def test_a_shared_view_and_notes_in_markdown_are_accessible(window, admin, world):
    _, over, view = world
    _, token = ViewLink.issue(view, expires_at=timezone.now() + timedelta(days=1))
    page = window(**LOOKS).log_in(admin)
    notes = page.open(f"/runs/{over.code}?tab=notes")
    expect(notes.get_by_role("heading", name="What was tried")).to_be_visible()
    wrong = [f"notes: {each}" for each in in_both_themes(notes)]
    notes.get_by_role("button", name="Edit the notes").click()
    expect(notes.get_by_label("Notes in Markdown")).to_be_focused()
    wrong += [f"notes being written: {each}" for each in in_both_themes(notes)]
    shared = window(**LOOKS).open(f"/shared#{token}")
    expect(shared.get_by_role("heading", name="Both")).to_be_visible()
    expect(shared.get_by_text("calm-heron").first).to_be_visible()
    for width in (1440, 390):
        shared.set_viewport_size({"width": width, "height": 844})
        wrong += [f"a shared view at {width}: {each}" for each in in_both_themes(shared)]
    assert not wrong, "\n".join(wrong)
