"""What each page has: the keyboard alone, the palette, languages, a session that ends, a clock that is wrong."""

import re
from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.support.domain import a_run
from tests.support.wait import until
from training.jobs import tasks
from training.jobs.submit import submit
from training.models import Command, Membership

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]

FOCUSED = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const ringed = [at, at.parentElement].some((each) => getComputedStyle(each).outlineStyle !== "none");
  return { name: at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent.trim(),
    tag: at.tagName, seen: ringed && box.bottom > 0 && box.top < innerHeight };
}"""


def tab_to(page: Page, name: re.Pattern[str], tag: str, most: int = 80) -> None:
    """Tab until an element of that name has the focus; each stop on the way must be seen to have it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at["tag"] not in ("BODY", "IFRAME"):
            assert at["seen"], f"the focus on {at} cannot be seen"
        if at["tag"] == tag and name.search(at["name"]):
            return
    pytest.fail(f"{name.pattern} is not reached within {most} presses of Tab")


def choose(page: Page, typed: str, found: str) -> None:
    """From the command palette, by the keyboard."""
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Go to, or do")
    page.keyboard.type(typed)
    expect(palette.get_by_role("option", selected=True)).to_contain_text(found)
    page.keyboard.press("Enter")
    expect(palette).to_be_hidden()


def test_the_keyboard_alone_leads_from_the_login_to_a_lowered_learning_rate(window, training, operator):
    page = window().open("/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    choose(page, "otter", "bold-otter")
    expect(page.get_by_role("heading", name="bold-otter")).to_be_visible()
    choose(page, "control", "Open Control")
    field = page.get_by_role("textbox", name="lr")
    expect(field).to_be_visible()
    tab_to(page, re.compile("^lr$"), "INPUT")
    page.keyboard.press("Control+a")
    page.keyboard.type("0.002")
    page.keyboard.press("Enter")
    until(lambda: training.tunables.get(name="lr").value == 0.002, 20)
    # What can be done to the run is in the palette, and the list of keys says how to get there.
    choose(page, "pause", "Pause this run")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Go to any page")
    page.keyboard.press("Escape")


def test_a_person_is_spoken_to_in_their_language_and_told_times_in_their_zone(window, training, operator):
    window.allowed.append("status of 400")
    page = window(locale="zh-CN", timezone_id="Asia/Shanghai").log_in(operator).open("/settings")
    expect(page.get_by_role("heading", name="设置", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    expect(page.get_by_label("时区")).to_contain_text("Asia/Shanghai")
    # What the server wrote in English, with figures in it: a reason of the queue, a refusal.
    submit(experiment=training.experiment, argv=["python", "train.py"], user=operator)
    tasks.place_tick()
    page.goto("/queue")
    expect(page.get_by_text("等待 1 个 CPU 槽位：没有可调度的节点具备正常的 CPU 槽位")).to_be_visible()
    page.goto("/")
    page.get_by_role("button", name="新建实验").click()
    dialog = page.get_by_role("dialog", name="新建实验")
    dialog.get_by_label("名称").fill("无目标")
    dialog.get_by_label("目标值").fill("0.5")
    dialog.get_by_role("button", name="创建").click()
    expect(dialog.get_by_role("alert")).to_have_text("设定目标值时须同时填写目标指标。")
    page.keyboard.press("Escape")
    started = page.get_by_role("cell", name=re.compile("前$|刚刚")).locator("time").first
    expect(started).to_have_attribute("title", re.compile("GMT\\+8"))
    choose_in_chinese = page.get_by_role("button", name="前往或执行")
    held: list = []
    page.route(re.compile(r"/Palette-[^/]*\.js"), lambda route: held.append(route))
    choose_in_chinese.click()
    page.keyboard.type("english")  # while the palette itself is still on its way
    until(lambda: page.evaluate("true") and held, 10)
    held[0].continue_()
    expect(page.get_by_role("option", selected=True)).to_contain_text("English")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    page.goto("/settings")
    page.get_by_label("Time zone").select_option("America/New_York")
    page.goto("/")
    started = page.get_by_role("cell", name=re.compile("ago$|now")).locator("time").first
    expect(started).to_have_attribute("title", re.compile("GMT-[45]|E[SD]T"))
    # The server's own pages follow the choice, and without one the browser.
    window.allowed.append("status of 404")
    page.goto("/nothing")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.context.clear_cookies()
    page.goto("/login")
    expect(page.get_by_role("heading", name="登录")).to_be_visible()


def test_a_theme_is_kept_and_the_palette_leads_about_on_a_phone(window, operator):
    a_run(state="finished", name="bold-otter")
    phone = window(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, color_scheme="light"
    )
    page = phone.log_in(operator).open("/settings")
    theme = page.get_by_label("Theme", exact=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    expect(theme).to_have_value("system")
    light = page.evaluate(ground)
    theme.select_option("dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload(wait_until="commit")
    page.wait_for_function("document.body")
    assert page.evaluate(ground) == dark, "what was chosen is not there from the first paint on"
    expect(theme).to_have_value("dark")
    page.emulate_media(color_scheme="dark")
    theme.select_option("light")
    assert page.evaluate(ground) == light, "the system's theme won over the chosen one"
    theme.select_option("system")
    assert page.evaluate(ground) == dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light
    page.reload()
    expect(theme).to_have_value("system")
    page.get_by_role("button", name="Go to, or do").tap()
    palette = page.get_by_role("dialog", name="Go to, or do")
    typed = palette.get_by_role("combobox")
    expect(typed).to_be_focused()
    within = """each => {
      const box = each.getBoundingClientRect();
      return box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
    }"""
    typed.fill("theme dark")
    assert palette.evaluate(within)
    palette.get_by_role("option", name="Theme: dark").tap()
    expect(palette).to_be_hidden()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Go to, or do").tap()
    typed.fill("otter")
    found = palette.get_by_role("option", name="bold-otter")
    expect(found).to_be_visible()
    assert found.evaluate(within)
    found.tap()
    expect(page.get_by_role("heading", name="bold-otter")).to_be_visible()
    assert page.evaluate(ground) == dark


def test_a_session_that_ends_loses_nothing_that_was_typed(window, operator):
    a_run()  # so that there is an experiment to submit to
    window.allowed += ["status of 401", "status of 403", "WebSocket"]
    seen = window().log_in(operator)
    page = seen.open("/submit")
    page.get_by_label("Command").fill("python mine.py")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    # What the form chooses from is there: it is what was typed that is at stake, not the page's first questions.
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()
    Session.objects.all().delete()
    # A look of the page's own may find it out first, and its dialog would be in a pointer's way.
    page.get_by_role("button", name="Submit").dispatch_event("click")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="I have logged in").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Log in first")
    seen.log_in(operator)  # as in another tab
    dialog.get_by_role("button", name="I have logged in").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Command")).to_have_value("python mine.py")
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile(r"/runs/[a-z0-9]+$"))


def test_a_change_outlives_a_role_that_was_taken_away_and_a_session_that_ended(window, training, operator):
    window.allowed += ["status of 401", "status of 403", "WebSocket"]
    seen = window().log_in(operator)
    page = seen.open(f"/runs/{training.code}?tab=control")
    lr = page.get_by_role("textbox", name="lr")
    lr.fill("0.04")
    # While the page is open, and has not heard of it.
    address = f"**/api/v1/runs/{training.code}"
    before = page.request.get(f"/api/v1/runs/{training.code}").text()
    page.route(address, lambda route: route.fulfill(body=before, content_type="application/json"))
    Membership.objects.update(role="viewer")
    page.get_by_role("button", name="Apply").click()
    # Said once, at what was asked for.
    refused = page.get_by_text("this needs the role operator in project vision; yours is viewer")
    expect(refused).to_have_count(1)
    expect(lr).to_have_value("0.04")
    page.get_by_role("button", name="Pause").click()
    expect(refused).to_have_count(2)
    stranger = seen.open(f"/runs/{training.code}?tab=control")  # the same person, who comes anew
    expect(stranger.get_by_role("heading", name="bold-otter")).to_be_visible()
    expect(stranger.get_by_role("textbox", name="lr")).to_be_disabled()
    expect(stranger.get_by_role("button", name="Pause")).to_have_count(0)
    stranger.close()
    assert not Command.objects.exists()
    Membership.objects.update(role="operator")
    page.unroute(address)
    Session.objects.all().delete()
    page.get_by_role("button", name="Apply").dispatch_event("click")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    seen.log_in(operator)
    dialog.get_by_role("button", name="I have logged in").click()
    expect(dialog).to_be_hidden()
    expect(lr).to_have_value("0.04")
    page.get_by_role("button", name="Apply").click()
    until(lambda: Command.objects.filter(state="applied", new_value=0.04).exists())
    assert Command.objects.count() == 1


def test_a_clock_that_is_a_day_wrong_tells_the_server_s_times(window, training, operator):
    seen = window().log_in(operator)
    page = seen.context.new_page()
    page.clock.install(time=datetime.now() + timedelta(days=1))
    page.goto("/")
    expect(page.get_by_text("This computer's clock is")).to_have_count(0)
    expect(page.get_by_title(re.compile("This computer's clock is (1 d|23 h|24 h).* off"))).to_be_visible()
    created = training.experiment.created_at
    assert timezone.now() - created < timedelta(minutes=10)
    expect(page.get_by_role("row").filter(has_text=training.experiment.name).locator("time")).to_have_text(
        re.compile(r"^(now|\d+ (s|min) ago)$")
    )
