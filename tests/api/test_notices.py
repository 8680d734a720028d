"""What waits for a person: one list, for who may see it; answered from wherever it is read."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Alert, Rule
from control.models import ControllerSettings, Decision
from training.notices import SOURCES, Notice, source

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def told(monkeypatch):
    sent = []
    monkeypatch.setattr(
        "monitoring.live.publish.send", lambda channel, message: sent.append((channel, message))
    )
    return sent


@pytest.fixture
def proposal(run):
    ControllerSettings.objects.create(experiment=run.experiment, mode="advise")
    return Decision.objects.create(
        run=run, policy="learning_rate", state="proposed", mode="advise", tunable="lr", reason="The loss stands still.",
        old_value=1e-3, new_value=1e-4, changes=[{"verb": "set", "tunable": "lr", "value": 1e-4, "old_value": 1e-3}],
        decided_step=10, judge_at_step=20, judge_after_steps=10,
    )  # fmt: skip


def waiting(client):
    return client.ask("GET", "notices").json()["results"]


def test_a_proposal_waits_for_those_who_see_its_run(operator, viewer, outsider, proposal):
    (notice,) = waiting(operator)
    assert (notice["kind"], notice["id"], notice["run"]) == ("proposal", proposal.pk, proposal.run.code)
    assert (notice["can"], notice["text"]) == ("operator", "The loss stands still.")
    assert notice["data"]["new_value"] == 1e-4
    assert waiting(viewer)[0]["can"] == "viewer"
    assert waiting(outsider) == []


def test_a_refusal_names_its_reason_and_the_pages_are_told(
    operator, proposal, told, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator.ask("POST", f"decisions/{proposal.pk}/reject", {"reason": "not before the weekend"})
    assert answer.json()["blocked_by"] == "person: refused by olga: not before the weekend"
    assert waiting(operator) == []
    assert ("sw:live:notices", "notice") in [(channel, message["what"]) for channel, message in told]
    again = operator.ask("POST", f"decisions/{proposal.pk}/reject", {})
    assert again.status_code == 409


def test_a_refusal_is_taken_back_while_the_proposal_still_holds(operator, viewer, proposal, run):
    def answer(what):
        return operator.ask("POST", f"decisions/{proposal.pk}/{what}", {})

    assert "only what a person refused" in answer("reopen").json()["detail"]
    answer("reject")
    assert viewer.ask("POST", f"decisions/{proposal.pk}/reopen", {}).status_code == 403
    told = answer("reopen").json()
    assert (told["state"], told["blocked_by"], told["decided_by"]) == ("proposed", "", None)
    assert [each["id"] for each in waiting(operator)] == [proposal.pk]
    answer("reject")
    newer = Decision.objects.create(
        run=run,
        policy="p",
        state="proposed",
        mode="advise",
        decided_step=11,
        judge_at_step=20,
        judge_after_steps=9,
    )
    assert "a newer proposal" in answer("reopen").json()["detail"]
    newer.delete()
    run.tunables.update(value=0.5)
    assert "lr is 0.5 now and was 0.001" in answer("reopen").json()["detail"]
    run.tunables.update(value=1e-3)
    Decision.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert "proposed more than 10 minutes ago" in answer("reopen").json()["detail"]


def an_alert(project, **fields):
    now = timezone.now()
    rule = Rule.objects.create(
        project=project, name="disk is full", condition="node_figure", severity="critical"
    )
    return Alert.objects.create(
        rule=rule, subject="node:n1", label="n1", project=project, message="98 % used",
        started_at=now, fired_at=now, **fields,
    )  # fmt: skip


def test_an_alert_waits_until_an_operator_looks_after_it(operator, viewer, outsider, run):
    alert = an_alert(run.experiment.project, run=run)
    (notice,) = waiting(operator)
    assert (notice["kind"], notice["title"], notice["text"]) == ("alert", "disk is full", "98 % used")
    assert (notice["can"], notice["tone"], notice["data"]["label"]) == ("operator", "bad", "n1")
    assert (waiting(viewer)[0]["can"], waiting(outsider)) == ("viewer", [])
    assert operator.ask("POST", f"alerts/{alert.pk}/acknowledge").status_code == 200
    assert waiting(viewer) == []


def test_an_alert_of_the_whole_site_is_answered_by_its_administrator_alone(operator, run, admin_client):
    alert = an_alert(None)
    assert waiting(operator)[0]["can"] == ""
    assert operator.ask("POST", f"alerts/{alert.pk}/acknowledge").status_code == 403
    assert admin_client.get("/api/v1/notices").json()["results"][0]["can"] == "admin"


def test_another_kind_has_a_place_of_its_own(operator, run, proposal, monkeypatch):
    monkeypatch.setattr("training.notices.SOURCES", dict(SOURCES))
    at = proposal.created_at

    @source("alert")
    def alerts(user):
        yield Notice("alert", 7, at, run.experiment.project_id, "loss", "loss is no number", tone="bad")

    assert {notice["kind"] for notice in waiting(operator)} == {"alert", "proposal"}
