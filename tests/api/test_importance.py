"""Which settings matter for a metric, over REST."""

import pytest

from tests.support.domain import a_run

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
    assert operator.ask("GET", f"experiments/{experiment}/importance").status_code == 400
