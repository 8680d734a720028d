"""The keyboard alone, on a screen and on a phone with one: every control is reached, seen and used."""

import re

import pytest
from playwright.sync_api import Page, expect

from alerts.models import Alert, Rule
from alerts.tick import tick
from monitoring import nodes
from monitoring.models import Node
from tests.browser.test_everywhere import choose, tab_to
from tests.support.domain import a_run
from tests.support.wait import until
from training import states
from training.jobs.submit import submit
from training.models import ApiToken, Experiment, Job, SavedView, TokenKind, ViewLink

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
SIZES = ({"width": 1440, "height": 900}, {"width": 390, "height": 844})
# The next Tab begins at the top: where an element was that is gone again.
BEGIN = """() => {
  window.reached = new WeakSet();
  const top = document.createElement("button");
  document.body.prepend(top);
  top.focus();
  top.remove();
}"""
# Where the focus is: "" back at the beginning, else what is wrong with it, "fine" where nothing is.
STOP = """() => {
  const at = document.activeElement;
  if (at === document.body || reached.has(at)) return "";
  reached.add(at);
  const named = at.outerHTML.slice(0, 120), box = at.getBoundingClientRect();
  const ringed = [at, at.parentElement].some((each) => getComputedStyle(each).outlineStyle !== "none");
  if (!ringed) return `no ring around ${named}`;
  const own = (x, y) => {
    const top = document.elementFromPoint(x, y);
    return top && (at.contains(top) || at.closest("label")?.contains(top));
  };
  const shares = [0.1, 0.5, 0.9];
  const seen = shares.some((i) => shares.some((j) => own(box.left + i * box.width, box.top + j * box.height)));
  return seen ? "fine" : `something lies over ${named}, or it is out of view`;
}"""
MISSED = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']");
  const shown = (each) => each.checkVisibility({ visibilityProperty: true });
  // Of a group of choices one is reached; arrows lead to the others.
  const group = (each) => [...document.getElementsByName(each.name)].some((other) => reached.has(other));
  const due = (each) => !reached.has(each) && (each.type !== "radio" || !group(each));
  return [...all].filter((each) => each.tabIndex >= 0 && !each.disabled && shown(each) && due(each))
    .map((each) => `not reached: ${each.outerHTML.slice(0, 120)}`);
}"""


def walk(page: Page, most: int = 120) -> list[str]:
    """What cannot be reached or seen by pressing Tab from the top of the page to its end."""
    page.evaluate(BEGIN)
    wrong = []
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(STOP)
        if not found:
            return wrong + page.evaluate(MISSED)
        if found != "fine":
            wrong.append(found)
    return [*wrong, f"no end within {most} presses of Tab"]


@pytest.fixture
def node(live_site):
    latest = {"cpu_utilisation_ratio": 0.42, "memory_used_bytes": 2**30, "memory_total_bytes": 8 * 2**30}
    system = {
        "hostname": "node-a.lab",
        "os": "Debian 12",
        "cpu_count": 2,
        "memory_bytes": 8 * 2**30,
        "latest": latest,
    }
    return nodes.register("node-a", system, [{"kind": "cpu", "index": 0, "name": "CPU slot"}])


@pytest.fixture
def admin(operator):
    operator.is_superuser = operator.is_staff = True
    operator.save()
    return operator


def test_every_control_is_reached_and_seen_by_tab(window, admin, node):
    run = a_run(state="running", name="bold-otter", summary={"loss": 0.5})
    submit(experiment=run.experiment, argv=["python", "train.py"], name="waits", user=admin)
    Rule.objects.create(
        name="A run failed", condition="run_state", parameters={}, project=run.experiment.project
    )
    states.move(a_run(state="running", name="calm-heron"), "failed", "CUDA error")
    tick()
    ApiToken.issue(TokenKind.USER, user=admin, name="laptop")
    paths = ["/", "/queue", "/nodes", "/nodes/node-a", "/alerts", "/alerts?tab=rules", "/alerts?tab=channels"]
    paths += ["/settings", "/submit", f"/experiments/{run.experiment_id}"]
    page = window(viewport=SIZES[0]).log_in(admin).open("/")
    wrong: list[str] = []
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.locator("main .skeleton")).to_have_count(0)
        for size in SIZES:
            page.set_viewport_size(size)
            wrong += [f"{path} at {size['width']}: {each}" for each in walk(page)]
    assert not wrong, "\n".join(wrong)


def test_on_a_phone_with_keys_things_are_done_as_well(window, admin, node):
    run = a_run(state="finished", name="bold-otter", summary={"loss": 0.5})
    Rule.objects.create(
        name="A run failed", condition="run_state", parameters={}, project=run.experiment.project
    )
    page = window(viewport=SIZES[1]).log_in(admin).open("/")
    heading = page.get_by_role("heading", level=1)
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()

    def press(name: str, tag: str = "BUTTON") -> None:
        tab_to(page, re.compile(name), tag, most=120)
        page.keyboard.press("Enter")

    press("^New experiment$")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.type("digits-cnn")
    page.keyboard.press("Enter")
    expect(heading).to_have_text("digits-cnn")  # its page is there: it would close what is opened before
    assert Experiment.objects.filter(name="digits-cnn").exists()
    choose(page, "submit", "Submit")
    expect(heading).to_have_text("Submit a job")
    tab_to(page, re.compile("^Command"), "TEXTAREA")
    page.keyboard.type("python train.py")
    press("^Submit$")
    expect(page).to_have_url(re.compile(r"/runs/[a-z0-9]+$"))
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(heading).to_have_text("Queue")
    press("^Stop ")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("^Stop")
    until(lambda: Job.objects.get().state == "stopped", 15)

    states.move(a_run(state="running", name="calm-heron"), "failed", "CUDA error")
    tick()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(heading).to_have_text("Alerts")
    press("^Acknowledge$")
    until(lambda: Alert.objects.get().acknowledged_by == admin, 15)

    choose(page, "nodes", "Nodes")
    press("node-a", "A")
    expect(heading).to_have_text("node-a")
    press("^Cordon$")
    until(lambda: Node.objects.get().cordoned, 15)

    choose(page, "settings", "Settings")
    tab_to(page, re.compile("^Name$"), "INPUT")
    page.keyboard.type("laptop")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copy it now; it is not shown again.")).to_be_visible()

    page.goto(f"/experiments/{run.experiment_id}")
    press("^Saved views")
    expect(page.get_by_role("button", name="Save as a new view")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
    page.keyboard.type("All")
    page.keyboard.press("Enter")
    until(SavedView.objects.exists, 15)
    page.keyboard.press("Escape")
    page.goto(f"/v/{SavedView.objects.get().code}")
    press("^Saved views")
    for _ in range(9):
        if page.get_by_role("button", name="Share “All”").evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    press("^Make a link$")
    until(ViewLink.objects.exists, 15)
