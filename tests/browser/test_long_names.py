"""Names as long as may be, in one word, on every page of a phone: nothing is wider than the screen."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alerts.models import Alert, Channel, Rule
from monitoring.models import Device, Node
from tests.browser.width import fits
from tests.support.domain import a_run, a_user
from training.jobs.submit import submit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def long(letter: str, length: int = 200) -> str:
    return letter * length


def test_names_of_one_long_word_make_no_page_of_a_phone_wider_than_its_screen(window):
    root = a_user("root", is_superuser=True, is_staff=True)
    key, now = long("k", 300), timezone.now()
    run = a_run(
        state="running", name=long("r"), summary={key: 0.5}, config={key: key}, tags=[long("t", 50)],
        notes=long("n", 300), started_at=now,
    )  # fmt: skip
    other = a_run(state="failed", name=long("f"), summary={key: 0.1}, ended_at=now)
    experiment = run.experiment
    experiment.name = long("e")
    experiment.save()
    node = Node.objects.create(name=long("o", 100), hostname=long("h"), state="silent", last_seen_at=now)
    Device.objects.create(node=node, kind="gpu", index=0, uuid="GPU-1", name=long("g", 100))
    Device.objects.create(node=node, kind="cpu", index=0, uuid="cpu-1", name=long("p", 100))
    rule = Rule.objects.create(
        project=experiment.project, name=long("l", 100), condition="run_figure", parameters={"key": key, "limit": 0}
    )  # fmt: skip
    channel = Channel.objects.create(
        name=long("c", 100), kind="webhook", target=f"https://{long('w', 60)}.org"
    )
    rule.channels.add(channel)
    Alert.objects.create(
        rule=rule, subject=run.source, label=run.name, project=experiment.project, run=run, message=key,
        started_at=now, fired_at=now,
    )  # fmt: skip
    submit(experiment=experiment, argv=["python", long("a", 300)], name=long("j"), user=root)
    page = window(viewport={"width": 390, "height": 844}).log_in(root).context.new_page()
    for path, words in [
        ("/", experiment.name), (f"/experiments/{experiment.pk}", run.name), ("/queue", long("j")),
        ("/nodes", node.name), (f"/nodes/{node.name}", node.name), ("/alerts", run.name),
        ("/alerts?tab=rules", rule.name), ("/alerts?tab=channels", channel.name),
        (f"/compare?runs={run.code},{other.code}", run.name),
        *((f"/runs/{run.code}?tab={tab}", run.name)
          for tab in ("overview", "charts", "control", "decisions", "logs", "config", "notes", "story", "system")),
    ]:  # fmt: skip
        page.goto(path, wait_until="networkidle")  # all that it asks for is there
        expect(page.get_by_text(words[:30]).filter(visible=True).first).to_be_visible()
        fits(page, path)
