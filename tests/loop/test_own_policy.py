"""The example of docs/policies.md as somebody would take it: copied, found by its entry point, at work."""

import re
import sys
from importlib.metadata import EntryPoint

import pytest
from django.conf import settings

from control.loop import tick
from control.registry import BUILT_IN, GROUP, build
from tests.loop.scripted import ScriptedRun
from training.models import Tunable

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """What a site has after the example's package was installed."""
    told = (settings.BASE_DIR / "docs" / "policies.md").read_text()
    code = re.search(r"```python\n(.*?)```", told, re.S)[1]
    point = re.search(r'\[project\.entry-points\."(.+)"\]\n(\w+) = "(.+)"', told)
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "policies.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield build((EntryPoint(point[2], point[3], point[1]),))
    for name in ("my_package", "my_package.policies"):
        sys.modules.pop(name, None)
    assert point[1] == GROUP


def test_the_documented_policy_is_found_and_halves_the_rate_once(clock, published, registry):
    assert registry.problems == {}
    assert [policy.name for policy in registry.policies] == [*BUILT_IN, "warm_down"]
    live = ScriptedRun(clock)
    Tunable.objects.filter(run=live.run, name="lr").update(role="learning_rate")
    off = {name: {"enabled": False} for name in BUILT_IN}
    live.settings.policies = off | {"warm_down": {"after_step": 250}}
    live.settings.save()
    tick(clock.now, registry)
    assert live.decisions == []
    live.log(100)
    tick(clock.now, registry)
    assert live.obey() == ["set lr 0.05"]
    for _ in range(3):
        live.log(120)
        tick(clock.now, registry)
    (decision,) = live.decisions
    assert (decision.policy, decision.old_value, decision.new_value) == ("warm_down", 0.1, 0.05)
    assert decision.reason == "Step 299 is past the warm-down; halve lr."
    assert decision.verdict
