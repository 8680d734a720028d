"""A rule is tried on the past, made, fires while the page looks on, and is acknowledged."""

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alerts.conditions import parameters_of
from alerts.models import Alert, Channel, Rule
from alerts.presets import PRESETS
from alerts.tick import announce, tick
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_member, a_run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_a_rule_from_its_first_try_to_its_alert(window, operator, settings):
    run = a_run(state="running", name="bold-otter", summary={"loss": 9.0})
    at = time.time()
    losses = Column("loss", [1, 2, 3], [at - 900, at - 600, at - 5], [0.1, 8.0, 9.0])
    series.append(run.source, "s", [Batch(1, columns=[losses])])

    window.allowed.append("status of 400")  # the limit that is no number
    page = window().log_in(operator).open("/alerts")
    expect(page.get_by_text("Nothing is firing")).to_be_visible()
    page.get_by_role("button", name="New rule").click()
    dialog = page.get_by_role("dialog", name="New rule")
    dialog.get_by_label("Name").fill("Loss too high")
    dialog.get_by_label("Watches for").select_option(label="A run's figure")
    dialog.get_by_label("Key").fill("loss")
    dialog.get_by_label("Limit").fill("a lot")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_text("limit: Expected a number, got text")).to_be_visible()
    dialog.get_by_label("Limit").fill("7.5")
    dialog.get_by_role("button", name="Try it on the past").click()
    expect(dialog.get_by_text("It would have held once, in 1 that was looked at.")).to_be_visible()
    expect(dialog.get_by_role("img", name="held once")).to_be_visible()
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_be_hidden()

    assert Rule.objects.get().parameters["limit"] == 7.5
    tick()
    row = page.get_by_role("listitem").filter(has_text="Loss too high")
    expect(row).to_contain_text("loss 8, above 7.5")
    expect(row.get_by_role("link", name="bold-otter")).to_have_attribute("href", f"/runs/{run.code}")
    # What fires meanwhile comes on top, and moves no button that somebody points at.
    take = row.get_by_role("button", name="Acknowledge")
    take.hover()
    stood = take.bounding_box()
    Rule.objects.create(project=run.experiment.project, name="Too low", condition="run_figure",
                        parameters={"key": "loss", "limit": 100, "is": "below"})  # fmt: skip
    tick()
    listed = page.get_by_role("region", name="Alerts", exact=True).get_by_role("listitem")
    expect(listed).to_have_text([re.compile("Loss too high"), re.compile("Too low")])
    assert take.bounding_box() == stood
    page.mouse.move(5, 5)
    expect(listed).to_have_text([re.compile("Too low"), re.compile("Loss too high")])
    # Who has gone on to another page when the answer comes finds it done, and no complaint.
    held = []
    page.route("**/acknowledge", lambda route: held.append(route))
    with page.expect_request("**/acknowledge"):
        take.click()
    page.get_by_role("link", name="Nodes").first.click()
    expect(page.get_by_role("heading", name="Nodes", exact=True)).to_be_visible()
    with page.expect_response("**/acknowledge"):
        held[0].continue_()
    page.unroute("**/acknowledge")
    page.get_by_role("link", name="Alerts").first.click()
    expect(row).to_contain_text("ada looks after it")
    mine = Alert.objects.get(rule__name="Loss too high")
    assert mine.acknowledged_by == operator
    page.get_by_role("button", name="Undo").click()  # a slip
    expect(take).to_be_visible()
    mine.refresh_from_db()
    assert mine.acknowledged_at is None
    page.get_by_role("link", name="Rules").click()
    rules = page.get_by_role("table").get_by_role("row")
    expect(rules).to_have_count(3)
    Rule.objects.filter(name="Too low").delete()
    page.get_by_role("button", name="Remove Loss too high").click()
    # Nothing moves under the pointer, whoever removed it.
    expect(rules).to_have_text(
        [re.compile(each) for each in ("Rule", "Too low · removed", "Loss too high · removed")]
    )
    page.mouse.move(5, 5)
    expect(page.get_by_text("No rule yet")).to_be_visible()
    page.get_by_role("link", name="Past").click()  # what it found stays, with why it is over
    expect(row).to_contain_text("loss 8, above 7.5")
    expect(row).to_contain_text("rule removed")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Nothing has been resolved yet.")).to_be_visible()
    page.get_by_role("link", name="Rules").click()
    expect(page.get_by_role("cell", name="Loss too high", exact=True)).to_be_visible()
    mine.refresh_from_db()
    assert (mine.resolved_at, mine.rule) == (None, Rule.objects.get())

    page.get_by_role("link", name="Channels").click()
    expect(page.get_by_text("Alerts show in these pages alone")).to_be_visible()
    page.get_by_role("button", name="New channel").click()
    dialog = page.get_by_role("dialog", name="New channel")
    dialog.get_by_label("Name").fill("pager")
    # Text is chosen beyond the dialog's edge, and somebody slips beside it: what was written is still there.
    box = dialog.get_by_label("Name").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(5, 300)
    page.mouse.up()
    page.mouse.click(5, 300)
    expect(dialog.get_by_label("Name")).to_have_value("pager")
    dialog.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("127.0.0.1 is a private address")
    settings.MAIL_CONFIGURED = True
    dialog.get_by_label("Kind").select_option("mail")
    dialog.get_by_label("Address").fill("pager@example.org")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test went out over pager.")).to_be_visible()
    expect(page.get_by_role("region", name="Last messages").get_by_text("sent", exact=True)).to_be_visible()
    Rule.objects.get().channels.add(Channel.objects.get())
    viewer = window().log_in(a_member(run.experiment.project, "vera", "viewer")).open("/alerts?tab=channels")
    expect(viewer.get_by_role("button", name="Remove pager")).to_be_disabled()
    expect(viewer.get_by_role("button", name="New channel")).to_have_count(0)
    page.reload()
    page.get_by_role("button", name="Remove pager").click()
    dialog = page.get_by_role("dialog", name="Remove pager?")
    expect(dialog).to_contain_text("These rules tell it no more: Loss too high.")
    dialog.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Alerts show in these pages alone")).to_be_visible()


def test_a_rule_is_muted_from_its_row_and_from_its_form(window, operator):
    project = a_run(state="running", name="bold-otter").experiment.project
    rule = Rule.objects.create(project=project, name="Loss too high", condition="stalled")
    window.allowed.append("status of 400")  # the quiet time that is no number
    page = window().log_in(operator).open("/alerts?tab=rules")
    other = window().log_in(a_member(project, "vera", "viewer")).open("/alerts?tab=rules")
    row = page.get_by_role("row").filter(has_text="Loss too high")

    def hours_muted():
        rule.refresh_from_db()
        return rule.muted_until and (rule.muted_until - timezone.now()).total_seconds() / 3600

    expect(other.get_by_role("row").filter(has_text="Loss too high")).to_be_visible()
    expect(other.get_by_role("button", name=re.compile("^Mute"))).to_have_count(0)
    edit = row.get_by_role("button", name="Edit")
    mute = row.get_by_role("button", name="Mute Loss too high", exact=True)
    stood = edit.bounding_box()
    # By the keyboard alone: the first of the list has the focus, then what takes it back.
    mute.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="For an hour")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(row).to_contain_text(re.compile(r"muted until .*\d\d:\d\d"))
    expect(row.get_by_role("button", name="Unmute Loss too high")).to_be_focused()
    assert 7.9 < hours_muted() <= 8
    assert edit.bounding_box() == pytest.approx(stood, abs=1)
    expect(other.get_by_text("muted until")).to_be_visible()  # without a reload
    page.keyboard.press("Enter")
    expect(mute).to_be_focused()
    assert hours_muted() is None
    page.get_by_role("button", name="Undo").last.click()
    expect(row).to_contain_text("muted until")
    row.get_by_role("button", name="Unmute").click()

    mute.click()
    page.get_by_role("button", name="Until…").click()
    dialog = page.get_by_role("dialog", name="Mute Loss too high")
    dialog.get_by_label("Until").fill("2020-01-01T10:00")
    dialog.get_by_role("button", name="Mute").click()
    expect(dialog.get_by_text("Expected a time to come.")).to_be_visible()
    later = page.evaluate("""() => {
        const at = new Date(Date.now() + 30 * 36e5);
        return new Date(at - at.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
    }""")
    dialog.get_by_label("Until").fill(later)
    dialog.get_by_role("button", name="Mute").click()
    expect(row).to_contain_text(f", {later[-5:]}")  # another day is said
    assert 29.9 < hours_muted() <= 30

    edit.click()
    dialog = page.get_by_role("dialog", name="Edit rule")
    expect(dialog.get_by_label("Muted until")).to_have_value(later)
    dialog.get_by_label("Muted until").fill("")
    dialog.get_by_label("Quiet time").fill("soon")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Expected a number, got the text 'soon'")).to_be_visible()
    dialog.get_by_label("Quiet time").fill("60")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(mute).to_be_visible()
    assert hours_muted() is None
    assert rule.quiet_seconds == 60
    Rule.objects.update(muted_until=timezone.now() - timedelta(minutes=1))  # one that is over says nothing
    page.reload()
    expect(mute).to_be_visible()


def test_rules_are_removed_one_after_another_by_the_keyboard(window, operator):
    project = a_run().experiment.project
    for name in ("Third", "Second", "First"):  # the newest is on top
        Rule.objects.create(project=project, name=name, condition="stalled")
    page = window().log_in(operator).open("/alerts?tab=rules")
    names = page.get_by_role("table").locator("tbody strong")
    expect(names).to_have_text(["First", "Second", "Third"])
    page.get_by_role("button", name="Remove Second").focus()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["First", "Third"])
    expect(page.get_by_role("button", name="Remove Third")).to_be_focused()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["First"])
    expect(page.get_by_role("button", name="Remove First")).to_be_focused()
    assert [rule.name for rule in Rule.objects.filter(removed_at=None)] == ["First"]


def test_the_past_goes_on_to_its_first_alert(window, operator):
    run = a_run(state="running", name="bold-otter")
    rule = Rule.objects.create(project=run.experiment.project, name="High", condition="stalled")
    begin = timezone.now() - timedelta(days=3)
    Alert.objects.bulk_create(
        Alert(rule=rule, subject=f"s{n}", label=f"alert {n}", project=run.experiment.project, message="m",
              started_at=begin, fired_at=begin, resolved_at=begin + timedelta(minutes=n + 1))
        for n in range(230)
    )  # fmt: skip
    page = window().log_in(operator).open("/alerts?tab=past")
    listed = page.get_by_role("region", name="Alerts", exact=True).get_by_role("listitem")
    expect(listed).to_have_count(100)
    more = page.get_by_role("button", name="Show older")
    more.focus()
    for count in (200, 230):
        page.keyboard.press("Enter")
        expect(listed).to_have_count(count)
    expect(listed.last).to_contain_text("alert 0")
    expect(more).to_have_count(0)
    expect(listed.nth(200)).to_be_focused()  # the first of those that came: the button is gone
    page.get_by_role("link", name="Past").focus()  # nobody is at the list, whose places were kept
    # What comes meanwhile is on top, and no older one goes for it.
    Alert.objects.create(rule=rule, subject="new", label="the newest", project=run.experiment.project, message="m",
                         started_at=begin, fired_at=begin, resolved_at=timezone.now())  # fmt: skip
    announce([Alert.objects.first()])
    expect(listed.first).to_contain_text("the newest")
    expect(listed).to_have_count(231)


def test_the_page_makes_a_rule_of_every_kind(window, operator):
    """Each ready rule by its button: its form filled by the preset, tried, created, in the list."""
    operator.is_superuser = True  # rules about nodes are the whole site's
    operator.save()
    page = window().log_in(operator).open("/alerts?tab=rules")
    expect(page.get_by_text("No rule yet")).to_be_visible()
    for number, preset in enumerate(PRESETS, 1):
        page.get_by_role("button", name="New rule").click()
        dialog = page.get_by_role("dialog", name="New rule")
        dialog.get_by_role("button", name=preset.name, exact=True).click()
        expect(dialog.get_by_label("Name")).to_have_value(preset.name)
        expect(dialog.get_by_label("Watches for")).to_have_value(preset.condition)
        dialog.get_by_role("button", name="Try it on the past").click()
        expect(dialog.get_by_text("It would have held 0 times, in 0 that were looked at.")).to_be_visible()
        dialog.get_by_role("button", name="Create").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("table").get_by_role("row")).to_have_count(1 + number)
    expect(page.get_by_role("cell", name="Hot device", exact=True)).to_be_visible()
    made = {rule.name: rule for rule in Rule.objects.all()}
    for preset in PRESETS:
        rule = made[preset.name]
        assert parameters_of(rule.condition, rule.parameters) == parameters_of(
            preset.condition, preset.parameters
        )
        assert (rule.severity, rule.hold_seconds) == (preset.severity, preset.hold_seconds)
