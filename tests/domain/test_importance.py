"""What matters for a metric: the setting that makes it, however it is hidden among others."""

import numpy as np
import pytest

from training.importance import correlation, flat, importance, ranks


def runs(count: int):
    """loss falls with the learning rate's logarithm and with one optimiser; the rest is noise."""
    dice = np.random.default_rng(3)
    for number in range(count):
        rate = float(10 ** dice.uniform(-5, -1))
        word = str(dice.choice(["adam", "sgd"]))
        config = {
            "lr": rate,
            "model": {"optimiser": word, "depth": int(dice.integers(2, 9))},
            "same": 1,
            "name": f"n{number}",
        }
        yield config, -np.log10(rate) * (2.0 if word == "sgd" else 1.0) + float(dice.normal(0, 0.1))


def test_the_setting_that_makes_the_metric_comes_first_and_noise_counts_nothing():
    found = importance(list(runs(120)))
    assert found.runs == 120
    assert found.explained > 0.8
    assert [each.name for each in found.settings] == ["lr", "model.optimiser", "model.depth"]
    rate, word, depth = found.settings
    assert rate.importance > word.importance > 10 * depth.importance
    assert (rate.kind, word.kind, word.correlation) == ("number", "words", None)
    assert rate.correlation < -0.6


def test_one_run_that_ran_away_does_not_turn_the_picture():
    some = list(runs(60))
    config, _ = some[7]
    some[7] = (config, 1e30)
    assert importance(some).settings[0].name == "lr"


def test_of_few_runs_there_is_correlation_alone():
    found = importance([({"lr": 0.1 * n}, float(n)) for n in range(1, 6)])
    assert (found.explained, found.settings[0].importance) == (None, None)
    assert found.settings[0].correlation == pytest.approx(1)
    assert importance([]).settings == ()
    assert importance([({"a": 1}, 2.0)]).settings == ()


def test_ranks_share_the_places_of_equal_values():
    assert ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [2.5, 1.0, 2.5, 0.0]
    assert correlation(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])) is None


def test_a_config_is_read_by_dotted_path():
    assert flat({"a": {"b": 1, "c": {"d": "x"}}, "e": [1], "f": None, "g": True, "h": float("nan")}) == {
        "a.b": 1, "a.c.d": "x", "g": True,
    }  # fmt: skip
