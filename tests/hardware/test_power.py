"""Power limits at NVML's boundary: what is allowed is set, what is not is refused in words and left as it was."""

import pytest

from monitoring.hardware import nvml
from monitoring.hardware.power import LimitRefused, PowerLimit, main, power_limit, set_power_limit
from tests.hardware.fake_nvml import Card, FakeNvml


@pytest.fixture
def fake():
    made = FakeNvml(Card(0), Card(1))
    made.root = True
    return made


def test_a_limit_is_set_read_back_and_taken_back(fake):
    gpus = nvml.Gpus(fake)
    assert power_limit(gpus, 0) == PowerLimit(700, 700, 200, 700)
    assert set_power_limit(gpus, 0, 450).watts == 450
    assert gpus.read(0).power_limit_watts == 450
    assert power_limit(gpus, 1).watts == 700
    assert set_power_limit(gpus, 0, None).watts == 700


@pytest.mark.parametrize("watts", [100, 701, float("nan")])
def test_a_limit_that_the_card_does_not_allow_is_refused_with_what_it_does(fake, watts):
    with pytest.raises(LimitRefused, match=r"200\.\.700 W"):
        set_power_limit(nvml.Gpus(fake), 0, watts)
    assert fake.cards[0].limit_milliwatts == 700_000


def test_without_root_the_reason_is_given_and_nothing_changes(fake):
    fake.root = False
    with pytest.raises(LimitRefused, match="only root"):
        set_power_limit(nvml.Gpus(fake), 0, 450)
    assert fake.cards[0].limit_milliwatts == 700_000


def test_a_card_without_limits_a_lost_one_and_one_that_is_not_there_are_refused(fake):
    fake.cards[0].missing = {"limit"}
    fake.cards[1].broken = {"set_limit"}
    gpus = nvml.Gpus(fake)
    with pytest.raises(LimitRefused, match="does not tell its power limit"):
        set_power_limit(gpus, 0, 450)
    with pytest.raises(LimitRefused, match="refused 450 W"):
        set_power_limit(gpus, 1, 450)
    with pytest.raises(LimitRefused, match=r"no GPU 2 .* 0\.\.1"):
        set_power_limit(gpus, 2, 450)


def test_the_command_shows_sets_and_refuses(fake, capsys):
    gpus = nvml.Gpus(fake)
    assert main(["--gpu", "1", "--watts", "300"], gpus) == 0
    assert main([], gpus) == 0
    assert "GPU 1: 300 W (default 700, allowed 200..700)" in capsys.readouterr().out
    assert main(["--gpu", "0", "--watts", "9000"], gpus) == 1
    assert "outside" in capsys.readouterr().err
    assert main([], nvml.Gpus(None)) == 1
