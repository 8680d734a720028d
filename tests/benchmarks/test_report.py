"""A benchmark's lines: what a reader of `--json` may count on."""

import json

from benchmarks.report import Report, median_of_repeats, quantile, readable, rounded


def line(capsys, **fields) -> dict:
    Report("thing", as_json=True).line("speed", unit="us", **fields)
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_every_line_has_benchmark_name_value_and_unit(capsys):
    assert line(capsys, value=1.23456) == {
        "benchmark": "thing", "name": "speed", "value": 1.235, "unit": "us",
    }  # fmt: skip


def test_a_goal_says_whether_it_was_reached(capsys):
    assert line(capsys, value=4, at_most=5)["reached"] is True
    assert line(capsys, value=6, at_most=5)["reached"] is False
    assert line(capsys, value=4, at_least=5)["reached"] is False
    assert "reached" not in line(capsys, value=4)


def test_a_figure_that_could_not_be_taken_is_null_with_a_note(capsys):
    found = line(capsys, value=None, at_most=5, note="not installed")
    assert found["value"] is None
    assert found["note"] == "not installed"
    assert "reached" not in found


def test_a_missed_goal_is_said_in_words():
    result = {"name": "speed", "value": 6, "unit": "us", "at_most": 5, "reached": False}
    assert readable(result).endswith("goal: at most 5, MISSED")


def test_figures_keep_four_digits_whatever_their_size():
    assert [rounded(value) for value in (0.00012345678, 1.98765, 54321.9, 0.0)] == [
        0.0001235, 1.988, 54322, 0.0,
    ]  # fmt: skip


def test_a_quantile_is_a_value_that_was_seen():
    values = [float(value) for value in range(1, 101)]
    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile([7.0], 0.99) == 7


def test_a_median_of_repeats_measures_that_often():
    taken = iter([3.0, 1.0, 2.0])
    assert median_of_repeats(3, lambda: next(taken)) == 2.0
