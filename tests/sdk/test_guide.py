"""The examples of docs/sdk.md run as they stand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_leaves_a_run_to_sync(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALEWEB_MODE", "offline")
    exec(example, {})
    assert list(tmp_path.glob("scaleweb-spool/*/*.batches"))
