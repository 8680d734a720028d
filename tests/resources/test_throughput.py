"""What is fitted to step times is held against the formula that made them."""

import numpy as np
import pytest

from control.resources.estimate import Profile, goodputs
from control.resources.goodput import Goodput
from control.resources.throughput import Measured, Throughput, fit, predicted

TRUE = np.array([*np.log([0.02, 0.0005, 0.02, 0.002, 0.08, 0.004]), -1.5])
SETTINGS = [(1, 128, 1, 1), (2, 64, 1, 1), (4, 128, 1, 1), (8, 16, 2, 1), (8, 128, 2, 2), (1, 256, 1, 1)]


def measured(settings, seed=1000, noise=0.03):
    dice = np.random.default_rng(seed)
    return [
        Measured(
            devices,
            micro,
            float(predicted(TRUE, devices, micro, steps, nodes))
            * float(np.exp(noise * dice.standard_normal())),
            nodes,
            steps,
        )
        for devices, micro, nodes, steps in settings
    ]


def test_a_model_of_six_settings_foretells_others_within_a_tenth():
    model = fit(measured(SETTINGS))
    for devices, micro, nodes, steps in [(2, 128, 1, 1), (4, 32, 1, 4), (1, 64, 1, 2)]:
        true = float(predicted(TRUE, devices, micro, steps, nodes))
        assert float(model.step_seconds(devices, micro, steps, nodes)) == pytest.approx(true, rel=0.1)


def test_one_bad_measurement_hardly_moves_the_rest():
    clean = fit(measured(SETTINGS * 3))
    spoilt = [*measured(SETTINGS * 3), Measured(2, 64, 5.0)]
    assert float(fit(spoilt).step_seconds(2, 64)) == pytest.approx(float(clean.step_seconds(2, 64)), rel=0.1)


def test_what_was_never_measured_stays_as_unsure_as_the_prior():
    model = fit(measured([(1, 128, 1, 1), (1, 256, 1, 1)]))
    assert model.measured_devices == (1,)
    assert model.spread[0] < 0.5, "the compute time was measured"
    assert min(model.spread[2:6]) > 1.2, "synchronisation was not"
    assert float(model.step_seconds(4, 32)) < float(model.step_seconds(1, 128)), "it still hopes for a gain"


@pytest.mark.parametrize(
    "bad", [[], [Measured(1, 128, 0.0)], [Measured(1, 128, float("nan"))], [Measured(0, 128, 1.0)]]
)
def test_measurements_that_cannot_be_are_refused_in_words(bad):
    with pytest.raises(ValueError, match="expected"):
        fit(bad)


def test_a_larger_noise_scale_makes_larger_batches_and_more_devices_worthwhile():
    model = Throughput(tuple(float(v) for v in TRUE), (0.0,) * 7)
    quiet, noisy = (
        Goodput(model, 64, scale, 4096, 512, adapts=True).points([1, 8]) for scale in (64, 16_384)
    )
    assert noisy[1].batch > quiet[1].batch
    assert noisy[1].goodput / noisy[0].goodput > quiet[1].goodput / quiet[0].goodput
    assert 0 < quiet[1].efficiency < noisy[1].efficiency <= 1


def test_a_job_whose_noise_was_never_measured_keeps_its_batch():
    model = fit(measured(SETTINGS))
    points = Goodput(model, 64, None, 4096, adapts=True).points([1, 2, 128])
    assert [point.batch for point in points] == [64, 64, 64]
    assert points[0].efficiency == 1
    assert points[2].goodput == 0, "128 devices cannot share 64 samples"


def test_accumulation_covers_what_does_not_fit_on_a_device():
    model = fit(measured(SETTINGS))
    (one, four) = Goodput(model, 256, largest_micro_batch=64).points([1, 4])
    assert (one.accumulation, four.accumulation) == (4, 1)


def test_a_kind_never_run_on_is_guessed_from_the_one_that_was():
    profile = Profile({"a": measured(SETTINGS)}, base_batch=128)
    found = goodputs(profile, {"a": 1.0, "b": 0.5})
    ratio = found["a"].table([1])[1] / found["b"].table([1])[1]
    assert ratio == pytest.approx(2.0)


def test_a_job_that_never_ran_has_an_opinion_of_ratios():
    table = goodputs(Profile(base_batch=64), {"a": 1.0})["a"].table([1, 2, 4])
    assert 1 < table[2] / table[1] < 2 < table[4] / table[1] < 4
