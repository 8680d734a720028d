"""What the server names and the page shows in the person's language: each name stands in the Chinese catalogue.

The page looks such words up as they come (frontend/src/lib/policies.ts); no reading of its sources finds them.
"""

import re
from pathlib import Path

from control.estimators.health import Kind
from control.guards import Rule
from control.models import Verdict
from control.registry import available

WORDS = Path("frontend/src/words/zh")


def translated():
    texts = (file.read_text(encoding="utf-8") for file in WORDS.glob("*.ts"))
    keys = (re.findall(r'^  (?:"((?:[^"\\]|\\.)*)"|(\w+)): "', text, re.MULTILINE) for text in texts)
    return {quoted or plain for found in keys for quoted, plain in found}


def label(name):
    """As `labelOf` of frontend/src/lib/policies.ts."""
    return (name[:1].upper() + name[1:]).replace("_", " ")


def test_every_policy_figure_rule_and_verdict_has_a_chinese_name():
    policies = available().policies
    wanted = {label(policy.name) for policy in policies} | {policy.summary for policy in policies}
    wanted |= {
        label(name) for policy in policies for name in policy.defaults if name not in {"enabled", "shadow"}
    }
    wanted |= {*map(str, Rule), *map(str, Kind), *map(str, Verdict)}
    assert sorted(wanted - translated()) == []
