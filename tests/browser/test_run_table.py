"""The run table of an experiment as a person uses it, and the views of it that are kept and passed on."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.live.publish import publish_change
from tests.support.domain import a_run
from tests.support.wait import until
from training.deleting import delete_run
from training.jobs.submit import submit
from training.models import Experiment, Job, Run, SavedView, ViewLink

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
COUNT = 700
WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def experiment():
    same = {"data": "digits"}
    first = a_run(
        state="finished",
        name="run 0",
        config=same | {"lr": 0.001, "optimizer": "adam"},
        summary={"loss": 9.0},
    )
    Run.objects.bulk_create(
        Run(
            experiment=first.experiment, name=f"run {number}", state="finished", last_step=number,
            tags=["even"] if number % 2 == 0 else [], summary={"loss": 1 / number},
            config=same | {"lr": number / 1000, "optimizer": ("adam", "sgd")[number % 2]},
        )
        for number in range(1, COUNT)
    )  # fmt: skip
    return first.experiment


def names(page) -> list[str]:
    return [text.strip() for text in page.locator("tbody td.name a").all_inner_texts()]


def told_of(run: Run, **changes) -> None:
    """The run is otherwise now, and pages hear of it as they do of one that trains."""
    Run.objects.filter(pk=run.pk).update(**changes)
    publish_change(f"experiment:{run.experiment_id}", "run", {"code": run.code, **changes})


def test_a_person_finds_sorts_groups_and_tags_among_many_runs(window, operator, experiment):
    window.allowed = ["400 (Bad Request)", "ERR_FAILED"]  # a pattern typed wrong, a line that breaks
    page = window(viewport=WIDE).log_in(operator).open(f"/experiments/{experiment.pk}?layout=table")
    table = page.get_by_role("region", name="Runs")
    expect(table.get_by_text(f"{COUNT} runs")).to_be_visible()
    assert names(page)[0] == f"run {COUNT - 1}"
    # Scrolled, the same elements show other runs, and what belongs to a run stays with it.
    body = page.locator(".body")
    chosen = table.get_by_role("checkbox", name=f"Select run {COUNT - 2}", exact=True)
    chosen.check()
    first = page.locator("tbody tr[data-line='0']").element_handle()
    body.evaluate("body => (body.scrollTop = 40 * 36)")
    expect(table.get_by_role("link", name=f"run {COUNT - 45}", exact=True)).to_be_visible()
    assert first.evaluate("row => row.isConnected && Number(row.dataset.line)") > 20
    assert first.query_selector("a").get_attribute("aria-label") == (
        f"run {COUNT - 1 - int(first.get_attribute('data-line'))}"
    )
    expect(table.locator("tbody input:checked, tbody tr.selected")).to_have_count(0)
    assert page.evaluate("document.activeElement === document.body")  # Space would choose another run
    lines = page.locator("tbody tr[data-line]").evaluate_all(
        "all => all.map((row) => Number(row.dataset.line))"
    )
    assert lines == list(
        range(lines[0], lines[0] + len(lines))
    )  # read aloud and walked by Tab in their order
    body.evaluate("body => (body.scrollTop = 0)")
    expect(chosen).to_be_checked()
    chosen.uncheck()
    # Rows come as they are scrolled to; the last one is as near as the first.
    body.evaluate("body => (body.scrollTop = body.scrollHeight)")
    expect(table.get_by_role("link", name="run 0", exact=True)).to_be_visible()
    # Sorted by the database, by pointer and in the address.
    table.get_by_role("button", name="loss", exact=False).first.click()
    expect(table.get_by_role("columnheader", name=re.compile("^loss"))).to_have_attribute(
        "aria-sort", "descending"
    )
    until(lambda: names(page)[0] == "run 0", 10)
    # Typed text and patterns; a bad one says what is wrong and hides nothing.
    search = table.get_by_role("searchbox", name="Search runs")
    search.fill("/^run 6[0-9]$/")
    expect(table.get_by_text("10 runs")).to_be_visible()
    for pattern, count in (("/^lr=0.00[1-3]$/", 4), ("/^even$/", 349)):  # of settings and of tags, too
        search.fill(pattern)
        expect(table.get_by_text(f"{count} runs")).to_be_visible()
    search.fill("/^run 6[0-9]$/")
    expect(table.get_by_text("10 runs")).to_be_visible()
    # An older run that begins to match is told like a new one, and waits like one.
    told_of(Run.objects.get(name="run 5"), name="run 60")
    table.get_by_role("button", name="1 new run").click()
    expect(table.get_by_text("11 runs")).to_be_visible()
    search.fill("/run (/")
    expect(table.get_by_role("alert")).to_contain_text("Close what you open")
    assert len(names(page)) == 11
    search.fill("")
    expect(table.get_by_text(f"{COUNT} runs")).to_be_visible()
    # A filter is built, and told how many it leaves before it is taken.
    table.get_by_role("button", name="Filter").click()
    dialog = page.get_by_role("dialog", name="Filter runs")
    dialog.get_by_label("Column").select_option("config:optimizer")
    dialog.get_by_label("Comparison").select_option("=")
    dialog.get_by_label("Value").fill("adam")
    expect(dialog.get_by_text("350 runs match")).to_be_visible()
    dialog.get_by_role("button", name="Filter", exact=True).click()
    expect(table.get_by_text("350 runs")).to_be_visible()
    # All that match are chosen, tagged by the server, and it is taken back.
    table.get_by_role("checkbox", name="Select all").check()
    table.get_by_role("button", name="Select all 350 that match").click()
    table.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog").get_by_label("Tags to add").fill("kept")
    held: list = []
    page.route("**/api/v1/runs/bulk", lambda route: held.append(route))
    page.get_by_role("button", name="Add", exact=True).click()
    until(lambda: page.evaluate("true") and held)
    expect(page.get_by_role("status").filter(has_text="0 of 350")).to_be_visible()  # how far it is
    # As if the first piece had taken a minute.
    page.evaluate("const now = performance.now.bind(performance); performance.now = () => now() + 60_000")
    held[0].continue_()
    until(lambda: page.evaluate("true") and len(held) == 2)
    bar = page.get_by_role("progressbar", name="Done so far")
    expect(bar).to_have_attribute("max", "350")
    done = int(bar.get_attribute("value"))
    assert 0 < done < 350
    told = page.get_by_role("status").filter(has_text=f"{done} of 350")
    expect(told).to_have_text(re.compile(r"([\d.]+ (s|m|h) ?)+left$"))
    held[1].abort()  # the line breaks between two pieces: what was done is told, and the rest is one click
    page.unroute("**/api/v1/runs/bulk")
    ended = page.get_by_role("alert").filter(
        has_text=re.compile(r"Ended after \d+ of 350: The server cannot")
    )
    assert 0 < Run.objects.filter(tags__icontains="kept").count() < 350
    ended.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("350 runs were tagged.")).to_be_visible()
    assert Run.objects.filter(config__optimizer="adam", tags__icontains="kept").count() == 350
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("350 runs lost the tag.")).to_be_visible()
    assert not Run.objects.filter(tags__icontains="kept").exists()
    # The back button undoes the filter; the order stays.
    page.go_back()
    expect(table.get_by_text(f"{COUNT} runs")).to_be_visible()
    # Groups of all that match, and the runs of one of them.
    table.get_by_role("button", name="Group").click()
    page.get_by_role("dialog").get_by_role("checkbox", name="optimizer").check()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    head = table.get_by_role("button", name=re.compile("^sgd"))
    expect(head).to_contain_text("350")
    head.click()
    expect(table.get_by_role("link", name="run 1", exact=True)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(table.get_by_role("link", name="run 1", exact=True)).to_be_focused()
    # What a group's head tells is of all its runs, whichever are drawn.
    figures = table.get_by_role("row").filter(has=page.get_by_role("button", name=re.compile("^sgd")))
    told = figures.inner_text()
    assert "±" in told
    eye = table.get_by_role("button", name="Draw run 1", exact=True)
    drawn = eye.get_attribute("aria-pressed")
    eye.click()
    expect(eye).not_to_have_attribute("aria-pressed", drawn)
    assert figures.inner_text() == told
    # It follows them while they train, wherever it stands.
    table.get_by_role("link", name="run 1", exact=True).focus()
    told_of(Run.objects.get(name="run 1"), summary={"loss": 1e6})
    expect(figures).not_to_have_text(told)
    expect(table.get_by_role("link", name="run 1", exact=True)).to_be_focused()
    # A filter that cannot be read is said to be none.
    page.goto(f"/experiments/{experiment.pk}?layout=table&groups=config:optimizer&filter=%7Bbroken")
    expect(table.get_by_role("button", name=re.compile("^sgd"))).to_be_visible()
    expect(table.get_by_role("alert")).to_contain_text("The filter in the address cannot be read")


def heads(page) -> list[str]:
    """Labels of the columns, from left to right."""
    return page.locator("thead .sort").evaluate_all("all => all.map((each) => each.ariaLabel)")


def test_columns_are_arranged_runs_told_apart_and_new_ones_wait_until_they_are_asked_for(
    window, operator, experiment
):
    page = window(viewport=WIDE).log_in(operator).open(f"/experiments/{experiment.pk}?layout=table")
    table = page.get_by_role("region", name="Runs")
    expect(table.get_by_role("link", name=f"run {COUNT - 1}", exact=True)).to_be_visible()
    # Columns are chosen, moved by keys, drawn wider, kept at the left, and left out where they tell nothing.
    table.get_by_role("button", name="Columns", exact=True).click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_label("Find a column").fill("data")
    dialog.get_by_role("checkbox", name="data").click()
    dialog.get_by_role("button", name="Hide Created").click()
    dialog.get_by_role("button", name="Done").click()
    assert heads(page)[-1] == "data"
    assert "Created" not in heads(page)
    table.get_by_role("button", name="data", exact=True).press("Alt+ArrowLeft")
    assert heads(page)[-2] == "data"
    data, last = (
        table.get_by_role("columnheader", name=name) for name in (re.compile("^data"), heads(page)[-1])
    )
    data.drag_to(last)  # and by the pointer, back to where it was
    until(lambda: heads(page)[-1] == "data")
    loss = table.get_by_role("columnheader", name=re.compile("^loss"))
    wide = loss.bounding_box()["width"]
    box = loss.locator(".size").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + 64, box["y"] + 9, steps=3)
    page.mouse.up()
    until(lambda: abs(loss.bounding_box()["width"] - wide - 60) < 3)
    loss.hover()
    loss.get_by_role("button", name="Column loss").click()
    page.get_by_role("button", name="Keep it at the left").click()
    expect(loss).to_have_css("left", re.compile(r"^[1-9]"))
    assert heads(page)[1] == "loss"
    table.get_by_role("button", name="Columns", exact=True).click()
    dialog.get_by_role("switch", name="Hide settings that are the same for all").click()
    dialog.get_by_role("button", name="Done").click()
    until(lambda: "data" not in heads(page))
    # One run is what the others are compared with, and has a colour of its own.
    row = table.get_by_role("row").filter(has=page.get_by_role("link", name="run 690", exact=True))
    for name in ("Use as the baseline", "Colour 5"):
        row.hover()
        row.get_by_role("button", name="More for run 690").click()
        page.get_by_role("button", name=name).click()
    expect(row.locator(".eye i")).to_have_attribute("style", re.compile(r"--series-5"))
    other = table.get_by_role("row").filter(has=page.get_by_role("link", name="run 691", exact=True))
    expect(other.get_by_title("Difference to run 690")).to_have_text(re.compile("−"))
    seen = heads(page)
    page.reload()
    expect(other.get_by_title("Difference to run 690")).to_be_visible()
    until(lambda: heads(page) == seen)
    # What comes waits, and moves nothing, until it is asked for; then it is stopped where it stands.
    before = names(page)
    submit(experiment=experiment, argv=["true"], name="just made", user=operator)
    fresh = table.get_by_role("button", name="1 new run")
    expect(fresh).to_be_visible()
    assert names(page) == before
    fresh.click()
    expect(table.get_by_role("link", name="just made")).to_be_visible()
    assert names(page)[:2] == ["just made", before[0]]
    # Who is deleted meanwhile says so where they stand.
    delete_run(Run.objects.get(name=f"run {COUNT - 3}"))
    gone = table.get_by_role("row").filter(has=page.get_by_role("link", name=f"run {COUNT - 3}", exact=True))
    expect(gone).to_contain_text("deleted")
    table.get_by_role("checkbox", name="Select just made").check()
    table.get_by_role("checkbox", name=f"Select {before[0]}").check()
    table.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text(re.compile("^1 run was asked to stop"))).to_be_visible()
    assert Job.objects.get().state == "stopped"
    # Which setting matters, by a forest over all runs: the loss follows from the rate alone.
    page.goto(f"/experiments/{experiment.pk}?layout=charts")
    page.get_by_role("button", name="Add a panel").click()
    page.get_by_role("dialog").get_by_role("button", name="Importance").click()
    edited = page.get_by_role("dialog", name="Edit the panel")
    edited.get_by_label("Metric").fill("loss")
    edited.get_by_role("button", name="Done").click()
    expect(
        page.get_by_text(re.compile(r"The forest explains (9\d|100) % of the differences"))
    ).to_be_visible()
    expect(page.locator("[data-panel] tbody th").first).to_have_text("lr")


def test_a_link_that_leads_nowhere_says_why(window, operator, experiment):
    window.allowed = ["401", "404"]
    now = timezone.now()
    view = SavedView.objects.create(
        experiment=experiment, owner=operator, name="Kept", state={"version": 1}, shared=True
    )
    _, good = ViewLink.issue(view, expires_at=now + timedelta(days=1))
    _, late = ViewLink.issue(view, expires_at=now - timedelta(seconds=1))
    guest = window()
    page = guest.open(f"/shared#{good}")
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    # Too late, altered, another kind of word, none at all: one answer for all of them, and no way to the login.
    for token in (late, f"{good[:-1]}{'a' if good[-1] != 'a' else 'b'}", "%00<script>", ""):
        page = guest.open(f"/shared#{token}")
        expect(page.get_by_role("heading", name="Shared view")).to_be_visible()
        expect(page.get_by_text("Ask whoever sent it for a new one.")).to_be_visible()
        expect(page).to_have_url(re.compile("/shared"))
        page.close()
    page = guest.log_in(operator).open("/v/nosuchview")
    expect(
        page.get_by_text(re.compile("There is no view nosuchview, or it is not yours to see"))
    ).to_be_visible()
    Experiment.objects.get().delete()
    page.goto(f"/v/{view.code}")
    expect(page.get_by_text(re.compile("Its experiment may have been deleted"))).to_be_visible()


def test_a_view_is_saved_passed_on_and_deleted(window, operator, experiment):
    window.allowed = ["410", "401"]
    mine = window(viewport=WIDE).log_in(operator)
    page = mine.open(f"/experiments/{experiment.pk}?find=optimizer%3Dsgd&sort=name")
    table = page.get_by_role("region", name="Runs")
    expect(table.get_by_text("350 runs")).to_be_visible()
    # One run alone on the charts, one on top, one to compare with.
    row = table.locator("tr", has=page.get_by_role("link", name="run 101", exact=True))
    row.hover()
    row.get_by_role("button", name="More for run 101").click()
    page.get_by_role("button", name="Keep on top").click()
    row = table.locator("tbody").last.locator("tr", has=page.get_by_role("link", name="run 101", exact=True))
    row.hover()
    row.get_by_role("button", name="More for run 101").click()
    page.get_by_role("button", name="Draw only this").click()
    expect(table.locator("[aria-pressed=true][aria-label='Draw run 101']").first).to_be_visible()
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Save as a new view").click()
    dialog = page.get_by_role("dialog", name="Save this view")
    dialog.get_by_label("Name").fill("SGD alone")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog.get_by_text("/v/")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    view = SavedView.objects.get()
    # The short link restores exactly what was seen.
    again = mine.open(f"/v/{view.code}")
    expect(again).to_have_url(re.compile(rf"/experiments/{experiment.pk}\?.*view={view.code}"))
    expect(again.get_by_text("350 runs")).to_be_visible()
    expect(again.get_by_role("searchbox", name="Search runs")).to_have_value("optimizer=sgd")
    expect(again.locator("tbody").first.get_by_role("link", name="run 101")).to_be_visible()
    expect(again.locator("[aria-pressed=true][aria-label^='Draw run']")).to_have_count(
        2
    )  # on top, and in its place
    again.close()
    # A link for who has no account: read-only, and ended when it is taken back.
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Share “SGD alone”").click()
    dialog = page.get_by_role("dialog", name="Share “SGD alone”")
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.locator("pre, code").filter(has_text="/shared#").first.inner_text().strip()
    guest = window().open(address.removeprefix(mine.site.url))
    expect(guest.get_by_role("heading", name="SGD alone")).to_be_visible()
    expect(guest.get_by_text("350 runs")).to_be_visible()
    assert guest.get_by_role("checkbox").count() == 0
    assert guest.get_by_role("link").count() == 0
    dialog.get_by_role("button", name="Take back").click()
    expect(dialog.get_by_role("button", name="Take back")).to_have_count(0)
    guest.reload()
    expect(guest.get_by_text("Ask whoever sent it for a new one.")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Delete “SGD alone”").click()
    expect(page.get_by_text("Its links end.")).to_be_visible()
    gone = mine.open(f"/v/{view.code}")
    expect(gone.get_by_text(re.compile("The view “SGD alone” was deleted by ada"))).to_be_visible()


def test_a_filter_of_alternatives_is_kept_in_a_view_and_runs_that_are_over_start_again(
    window, operator, experiment
):
    page = window(viewport=WIDE).log_in(operator).open(f"/experiments/{experiment.pk}?layout=table")
    table = page.get_by_role("region", name="Runs")
    expect(table.get_by_text(f"{COUNT} runs")).to_be_visible()
    table.get_by_role("button", name="Filter").click()
    dialog = page.get_by_role("dialog", name="Filter runs")
    dialog.get_by_role("radio", name="Any of").check()
    dialog.get_by_label("Comparison").select_option(label="matches pattern")
    dialog.get_by_label("Value").fill("^run 6[0-9]$")
    expect(dialog.get_by_text("10 runs match")).to_be_visible()
    # A group within: of those with a tag the ones with the greatest rates.
    dialog.get_by_role("button", name="Group", exact=True).click()
    group = dialog.get_by_role("group", name="Group of conditions")
    group.get_by_label("Column").select_option("tags")
    group.get_by_label("Comparison").select_option(label="has a value")
    expect(dialog.get_by_text("354 runs match")).to_be_visible()
    group.get_by_role("button", name="Condition", exact=True).click()
    group.get_by_label("Column").last.select_option("config:lr")
    group.get_by_label("Comparison").last.select_option(">=")
    group.get_by_label("Value").fill("0.69")
    expect(dialog.get_by_text("15 runs match")).to_be_visible()  # 690 to 698, the even ones
    dialog.get_by_role("button", name="Filter", exact=True).click()
    expect(table.get_by_text("15 runs")).to_be_visible()
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Save as a new view").click()
    saving = page.get_by_role("dialog", name="Save this view")
    saving.get_by_label("Name").fill("Some")
    saving.get_by_role("button", name="Save", exact=True).click()
    saving.get_by_role("button", name="Done").click()
    view = SavedView.objects.get()
    # What is changed afterwards is in the view once somebody keeps it there, and not before.
    page.goto(f"/v/{view.code}")
    expect(table.get_by_text("15 runs")).to_be_visible()
    table.get_by_role("button", name="3 conditions").click()
    dialog.get_by_role("button", name="Remove the condition").last.click()
    expect(dialog.get_by_text("354 runs match")).to_be_visible()
    dialog.get_by_role("button", name="Remove the condition").last.click()
    expect(dialog.get_by_text("10 runs match")).to_be_visible()
    dialog.get_by_role("button", name="Filter", exact=True).click()
    expect(table.get_by_text("10 runs")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"/v/{view.code}")
    expect(other.get_by_text("15 runs")).to_be_visible()
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Keep what is seen in “Some”").click()
    expect(page.get_by_text("“Some” shows what you see now.")).to_be_visible()
    other.goto(f"/v/{view.code}")
    expect(other.get_by_text("10 runs")).to_be_visible()
    other.close()
    # Sorted from a column's menu, and two of them started again: the one that no job made says why not.
    Job.objects.create(run=Run.objects.get(name="run 61"), argv=["true"], state="done")
    head = table.get_by_role("columnheader", name=re.compile("^loss"))
    head.hover()
    head.get_by_role("button", name="Column loss").click()
    page.get_by_role("button", name="Sort, greatest first").click()
    until(lambda: names(page)[:2] == ["run 60", "run 61"], 10)
    for name in ("run 60", "run 61"):
        table.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    table.get_by_role("button", name="Start again").click()
    asking = page.get_by_role("dialog", name="Start 2 runs again?")
    asking.get_by_role("button", name="Start again").click()
    expect(page.get_by_text(re.compile("^1 run is queued again. Not “run 60”: "))).to_be_visible()
    assert Job.objects.get().state == "queued"
    # And all runs are there again by one button.
    table.get_by_role("button", name="1 condition").click()
    dialog.get_by_role("button", name="Show all runs").click()
    expect(table.get_by_text(f"{COUNT} runs")).to_be_visible()
