"""Which settings matter for a metric, over REST."""

from datetime import datetime

import pytest

from tests.support.domain import a_run
from training.models import Run

pytestmark = pytest.mark.django_db(databases="__all__")


def test_it_is_asked_for_by_address(operator, project):
    experiment = None
    for number in range(4):
        last = "NaN" if number == 3 else number / 2
        run = a_run(project, name=f"r{number}", config={"lr": 0.1 * number}, summary={"loss": last})
        experiment = run.experiment_id
    answer = operator.ask("GET", f"experiments/{experiment}/importance", {"metric": "loss"})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["runs"], body["left_out"], body["explained"]) == (3, 1, None)
    assert body["settings"][0]["correlation"] == pytest.approx(1)
    # What ended since can be counted by it.
    Run.objects.filter(pk=run.pk).update(state="finished", ended_at=datetime.fromisoformat(body["at"]))
    for since, count in ((body["at"], 0), ("2020-01-01T00:00:00Z", 1)):
        ended = {"experiment": experiment, "where": f"ended_at > {since}"}
        assert operator.ask("GET", "runs/count", ended).json()["count"] == count
    assert operator.ask("GET", f"experiments/{experiment}/importance").status_code == 400


@pytest.mark.parametrize(
    ("narrowing", "runs", "correlation"),
    [
        ({}, 6, None),
        ({"find": "optimizer=adam"}, 3, 1),
        ({"filter": '{"column": "config:optimizer", "operator": "=", "value": "sgd"}'}, 3, -1),
        ({"where": ["config:lr > 0.15", "config:optimizer = adam"]}, 2, None),
        ({"code": "CODES"}, 4, None),
        ({"code": "CODES", "find": "optimizer=sgd"}, 3, -1),
        ({"code": "a\0b"}, 0, None),
    ],
)
def test_it_is_worked_out_over_the_runs_that_a_table_is_narrowed_to(
    operator, project, narrowing, runs, correlation
):
    """With one optimizer a larger rate is worse, with the other it is better."""
    experiment, codes = None, []
    for optimizer, sign in (("adam", 1), ("sgd", -1)):
        for number in range(3):
            config = {"lr": 0.1 * (number + 1), "optimizer": optimizer}
            name = f"{optimizer} {number}"
            run = a_run(project, name=name, config=config, summary={"loss": sign * number / 2})
            experiment = run.experiment_id
            codes.append(run.code)
    asked = narrowing | ({"code": ",".join(codes[2:])} if narrowing.get("code") == "CODES" else {})
    answer = operator.ask("GET", f"experiments/{experiment}/importance", {"metric": "loss"} | asked)
    assert answer.status_code == 200, answer.content
    assert answer.json()["runs"] == runs
    if correlation is not None:
        assert [each["name"] for each in answer.json()["settings"]] == ["lr"]
        assert answer.json()["settings"][0]["correlation"] == pytest.approx(correlation)


def test_a_filter_that_cannot_be_read_is_refused(operator, project):
    run = a_run(project, config={"lr": 0.1}, summary={"loss": 1.0})
    asked = {"metric": "loss", "find": "/(/"}
    answer = operator.ask("GET", f"experiments/{run.experiment_id}/importance", asked)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["find"]
