"""The rules of the house that a machine can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=TOP, capture_output=True, text=True, check=True
    ).stdout
    return [TOP / name for name in listed.split("\0") if name]


def test_dependencies_go_one_way():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.django_db
def test_every_model_change_has_its_migration():
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_exactly(name):
    lines = [line.split("#")[0].strip() for line in (TOP / name).read_text().splitlines()]
    loose = [
        line for line in lines if line and not line.startswith("-r") and not re.search(r"==[\w.+]+$", line)
    ]
    assert not loose


def test_no_pickle_no_shell_no_unsafe_load():
    """Celery speaks JSON, checkpoints load weights only, commands are argument lists."""
    forbidden = re.compile(
        r"^\s*(import pickle|from pickle)|shell=True|weights_only=False|os\.system\(", re.M
    )
    guilty = [
        path.relative_to(TOP).as_posix()
        for path in tracked("*.py")
        if "tests" not in path.parts and forbidden.search(path.read_text())
    ]
    assert not guilty


def test_the_sdk_imports_without_the_site_and_without_torch():
    """What a user installs beside training pulls in neither Django nor torch nor a broker client."""
    code = (
        "import sys, scaleweb_sdk, scaleweb_sdk.cli\n"
        "heavy = {'django', 'torch', 'celery', 'redis', 'channels', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_web_process_does_not_load_torch_and_never_walks_what_it_has_loaded():
    code = "import sys, scaleweb.asgi\nassert 'torch' not in sys.modules"
    # Nor is it walked at each full collection, which would hold up every viewer for a tenth of a second.
    code += "\nimport gc\nleft = len(gc.get_objects())\nassert gc.get_freeze_count() > 50 * left, left"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_built_in_policy_has_a_page_with_its_source_its_limits_and_its_parameters():
    from control.registry import BUILT_IN

    shared = re.findall(
        r"`(\w+)`", (TOP / "docs" / "policies.md").read_text().split("## Beside the others")[1]
    )
    for name, policy in BUILT_IN.items():
        page = (TOP / "docs" / "policies" / f"{name}.md").read_text()
        for what in (r"(\*\*|## )Sources?\b", r"(\*\*|## )Limits\b"):
            assert re.search(what, page), f"docs/policies/{name}.md has no {what}"
        told = {*re.findall(r"`(\w+)[`: ]", page), *shared}
        assert not set(policy.defaults) - told, f"docs/policies/{name}.md does not tell of all parameters"


def test_relative_links_in_the_documentation_lead_somewhere():
    broken = []
    for page in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(TOP)} -> {target}")
    assert not broken
