"""The lines that the page Submit shows for a shell, as vitest holds them: the command line reads the same jobs."""

import json
import shlex
from datetime import datetime
from pathlib import Path

import pytest

from scaleweb_sdk.cli import parser
from scaleweb_sdk.cli.submit import asked

LINES = json.loads((Path(__file__).parent / "fixtures" / "submit" / "lines.json").read_text())
# What a job is where nothing is said; the page leaves such fields to the site.
USUAL = {"device_kind": "cpu", "min_devices": 1, "max_devices": 1, "priority": 0, "max_retries": 0}


@pytest.mark.parametrize("each", LINES, ids=[each["line"][:60] for each in LINES])
def test_a_line_of_the_page_asks_for_the_same_as_the_page(each):
    program, *words = shlex.split(each["line"])
    options = parser().parse_args(words)
    assert (program, options.argv[0]) == ("scaleweb", "--")
    found = {name: value for name, value in asked(options, options.argv[1:]).items() if value}
    wanted = dict(each["asked"])
    if "deadline" in wanted:
        ends = [datetime.fromisoformat(fields.pop("deadline")) for fields in (found, wanted)]
        assert ends[0] == ends[1]
    if git := wanted.pop("git", None):
        assert options.git == f"{git['url']}@{git['revision']}"
    if "cwd" not in wanted:
        del found["cwd"]  # the folder that one stands in
    assert found == {name: value for name, value in (USUAL | wanted).items() if value}
