"""What a person takes along from a page: settings in three languages, a table's rows, an address."""

import json
import shlex

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.support.domain import a_run
from tests.support.media import Sender

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
CONFIG = {
    "lr": 1e-7,
    "model": {"depth": 2, "name": "it's $HOME", "layers": [{"width": 2}]},
    "sizes": [1, 1e-7, "no"],
    "resume": None,
    "answer": "yes",
    "empty": {},
}
# As on plain http at another host: the browser gives the page no clipboard, but to read it for the test.
NO_CLIPBOARD = """
const clipboard = navigator.clipboard;
Object.defineProperty(navigator, "clipboard", { value: { readText: () => clipboard.readText() } });
"""
# As where a policy of the browser's keeps the older way shut, too.
NO_COPYING = "document.execCommand = () => false;"


@pytest.fixture
def run(settings, tmp_path, live_site):
    settings.MEDIA_DIR = tmp_path / "media"
    return a_run(state="finished", name="bold-otter", config=CONFIG, last_step=9)


@pytest.fixture
def seen(window, operator):
    made = window().log_in(operator)
    made.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return made


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def copied(page: Page, name: str) -> str:
    """What is on the clipboard once this button was pressed, which says that it is."""
    page.evaluate("navigator.clipboard.writeText?.('something else')")
    button = page.get_by_role("button", name=name)
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = clipboard(page)
    expect(button).to_be_visible()  # it is itself again
    return text


def test_settings_are_found_and_copied_so_that_each_reader_gets_what_was_given(seen, run):
    page = seen.open(f"/runs/{run.code}?tab=config")
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="lr")).to_contain_text("1e-7")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search the settings")
    expect(search).to_be_focused()
    page.keyboard.type("DEPTH=2")  # a name and its value, in any case
    expect(rows.filter(has_text="depth")).to_be_visible()
    expect(rows.filter(has_text="lr")).to_have_count(0)
    expect(rows.filter(has_text="model")).to_have_count(1)  # the branch that it is on
    search.fill("nothing of that name")
    expect(page.get_by_text("No setting matches")).to_be_visible()
    search.fill("")
    # What is searched does not narrow what is copied.
    search.fill("depth")
    forms = page.get_by_role("radiogroup", name="Copy as")
    assert json.loads(copied(page, "Copy all settings")) == CONFIG
    forms.get_by_text("YAML", exact=True).click()
    assert yaml.safe_load(copied(page, "Copy all settings")) == CONFIG
    forms.get_by_text("Arguments", exact=True).click()
    words = dict(word.split("=", 1) for word in shlex.split(copied(page, "Copy all settings")))
    assert words["--model.name"] == "it's $HOME"
    assert float(words["--lr"]) == 1e-7
    assert json.loads(words["--sizes"]) == CONFIG["sizes"]
    assert words["--resume"] == "null"
    rows.filter(has_text="depth").hover()
    assert copied(page, "Copy model.depth") == "2"


def test_a_table_is_paged_and_begins_anew_where_it_is_searched_or_sorted(seen, run):
    rows = [[place, f"item {place:02}"] for place in range(45)]
    table = json.dumps({"columns": ["id", "label"], "rows": rows}).encode()
    kept = {"rows": 45, "rows_given": 60}
    assert Sender(run).send(table, "table", key="worst", uid="t", data=kept).json()["taken"] == 1
    page = seen.open(f"/runs/{run.code}?tab=media")
    table = page.get_by_role("region", name="worst", exact=True)
    lines = table.locator("tbody tr")
    expect(table.get_by_text("1 to 20 of 45")).to_be_visible()
    expect(table.get_by_text("15 further rows were not kept.")).to_be_visible()
    expect(lines).to_have_count(20)
    before, after = (table.get_by_role("button", name=name) for name in ("Rows before", "Next rows"))
    expect(before).to_be_disabled()
    after.click()
    expect(table.get_by_text("21 to 40 of 45")).to_be_visible()
    after.click()
    expect(table.get_by_text("41 to 45 of 45")).to_be_visible()
    expect(lines).to_have_count(5)
    expect(lines.last).to_contain_text("item 44")
    expect(after).to_be_disabled()
    table.get_by_role("button", name="id").click()
    expect(table.get_by_text("1 to 20 of 45")).to_be_visible()
    table.get_by_role("button", name="id").click()
    expect(lines.first).to_contain_text("item 44")
    expect(table.get_by_role("columnheader", name="id")).to_have_attribute("aria-sort", "descending")
    after.click()
    before.click()
    after.click()
    expect(lines.first).to_contain_text("item 24")
    table.get_by_role("searchbox").fill("item")  # each of them: of those, too, the first are wanted
    expect(table.get_by_text("1 to 20 of 45")).to_be_visible()
    table.get_by_role("searchbox").fill("no such thing")
    expect(table.get_by_text("0 to 0 of 0")).to_be_visible()


def test_an_address_is_copied_from_the_palette_wherever_the_site_is_served(seen, run, operator, settings):
    def from_the_palette(page: Page) -> None:
        page.keyboard.press("Control+k")
        palette = page.get_by_role("dialog", name="Go to, or do")
        page.keyboard.type("copy the address")
        expect(palette.get_by_role("option", selected=True)).to_contain_text("Copy the address")
        page.keyboard.press("Enter")

    address = f"/runs/{run.code}?tab=config"
    page = seen.open(address)
    expect(page.get_by_role("heading", name="bold-otter")).to_be_visible()
    from_the_palette(page)
    expect(page.get_by_text("The address is on the clipboard.")).to_be_visible()
    assert clipboard(page) == seen.site.url + address
    page.evaluate("navigator.clipboard.writeText('something else')")
    plain = seen.context.new_page()
    plain.add_init_script(NO_CLIPBOARD)
    plain.goto(f"/runs/{run.code}")
    expect(plain.get_by_role("heading", name="bold-otter")).to_be_visible()
    from_the_palette(plain)
    expect(plain.get_by_text("The address is on the clipboard.")).to_be_visible()
    assert clipboard(plain) == f"{seen.site.url}/runs/{run.code}"
    # Behind an open dialog nothing can be selected: what is copied there stands in it.
    operator.is_superuser = True
    operator.save()
    settings.NODE_DATABASE_URL = "postgresql://scaleweb:secret@10.0.0.5/scaleweb"
    settings.NODE_REDIS_URL = "rediss://:secret@10.0.0.5:6380/0"
    plain.goto("/nodes")
    plain.get_by_role("button", name="Add a node").click()
    dialog = plain.get_by_role("dialog", name="Add a node")
    dialog.get_by_role("button", name="Make a join token").click()
    copy = dialog.get_by_role("button", name="Copy")
    copy.click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_focused()
    assert clipboard(plain) == dialog.locator("pre").inner_text()
    expect(copy).to_be_focused()
    plain.evaluate(NO_COPYING)
    copy.press("Enter")
    expect(plain.get_by_text("select the text and copy it by hand")).to_be_visible()
    expect(copy).to_be_focused()
