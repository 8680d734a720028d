"""A change that is judged by one metric and must not harm another, through the rows of a site."""

import pytest

from control.proposals import Change
from tests.loop.scripted import ScriptedRun

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
SPEED = "_samples_per_second"


@pytest.mark.parametrize(
    ("loss", "verdict", "metric", "value"), [(1.0, "better", SPEED, 0.3), (1.8, "worse", "loss", 0.1)]
)
def test_faster_samples_are_no_gain_where_the_loss_suffers(clock, loss, verdict, metric, value):
    live = ScriptedRun(clock, Change("set", "lr", 0.3), metric=SPEED, unharmed=("loss",), trial=True)
    live.policy.reads = (SPEED,)
    live.run.tunables.filter(name="lr").update(about={"family": "adam"})
    live.log(60, **{SPEED: 1000.0})
    live.tick()
    assert live.policy.seen.tunables["lr"].about == {"family": "adam"}
    assert live.obey() == ["set lr 0.3"]
    live.rest()
    live.log(110, loss, **{SPEED: 1500.0})
    live.tick()
    live.tick()
    live.obey()
    assert (live.last.verdict, live.last.measured["metric"]) == (verdict, metric), live.last.measured
    assert live.value() == value
