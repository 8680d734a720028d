"""What waits for a person: one list, for who may see it; answered from wherever it is read."""

import pytest

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


def test_another_kind_has_a_place_of_its_own(operator, run, proposal, monkeypatch):
    monkeypatch.setattr("training.notices.SOURCES", dict(SOURCES))
    at = proposal.created_at

    @source("alert")
    def alerts(user):
        yield Notice("alert", 7, at, run.experiment.project_id, "loss", "loss is no number", tone="bad")

    assert {notice["kind"] for notice in waiting(operator)} == {"alert", "proposal"}
