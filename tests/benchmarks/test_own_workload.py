"""A workload of somebody's own is one file, found by its path; what is wrong with it is said."""

import subprocess
import sys

import pytest

from benchmarks.control.trial import Trial, run
from benchmarks.control.workload import BadWorkload, load
from tests.support.stack import TOP

LINE = """
import torch
from benchmarks.control.workload import Built, Rows, batches

NAME = "a line"
TARGET = 0.01
RATES = (0.001, 1.0)

def build(seed):
    x = torch.randn(256, 1)
    model = torch.nn.Linear(1, 1)
    loss = lambda batch: (model(batch[0]) - 2 * batch[0]).square().mean()
    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.SGD(model.parameters(), lr=rate),
        loss=loss,
        progress=lambda: loss([x]).item(),
        loader=batches(Rows(x), 32, seed),
    )
"""


@pytest.fixture
def line(tmp_path):
    file = tmp_path / "line.py"
    file.write_text(LINE)
    return file


def test_a_file_is_trained_to_its_target_like_a_built_in_workload(line):
    outcomes = [run(Trial(str(line), 1000, 0.05, 400, method)) for method in ("fixed", "control")]
    for outcome in outcomes:
        assert outcome.reached is not None, outcome.curve
        assert outcome.best < 0.01


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("TARGET = 0.01", ""), "defines no TARGET"),
        (("def build", "def built"), "defines no build"),
        (("NAME = ", 'DIRECTION = "up"\nNAME = '), "DIRECTION='up'; expected min or max"),
        (("(0.001, 1.0)", "(1.0, 0.001)"), "expected two rates, the lower first"),
    ],
)
def test_a_file_that_is_no_workload_is_refused_with_what_it_lacks(line, change, said):
    line.write_text(LINE.replace(*change))
    with pytest.raises(BadWorkload, match=said.replace("(", r"\(")):
        load(str(line))


def test_a_file_that_is_not_there_is_refused_by_the_command(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks.control",
        "--workload",
        str(tmp_path / "mine.py"),
        "--only",
        "harm",
    ]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 2
    assert "mine.py: is no file, and none of digits, gpt, cartpole, regression" in done.stderr
