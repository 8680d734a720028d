"""What a saved view holds, and what is refused: its outer form. The pages read the inside, each part its own.

    {"version": 1, "layout": "both", "table": {…}, "drawn": [codes], "others": [codes], "panels": {…}}

`table` is written and read by frontend/src/lib/tableview.ts, `panels` by the charts of the experiment's page.
"""

import json
from typing import Any

VERSION = 1
MAX_BYTES = 256 * 1024
MAX_DRAWN = 500
LAYOUTS = ("both", "table", "charts")
PARTS = ("version", "layout", "table", "drawn", "others", "panels")


class BadState(ValueError):
    """The message names the part, and what would do."""


def check_state(state: Any) -> dict[str, Any]:
    """The state itself. Raises BadState."""
    if not isinstance(state, dict):
        raise BadState(f"expected an object with {', '.join(PARTS)}.")
    size = len(json.dumps(state))
    if size > MAX_BYTES:
        raise BadState(f"the state is {size:,} bytes as JSON; at most {MAX_BYTES:,} are kept.")
    if state.get("version") != VERSION:
        raise BadState(
            f"version: expected {VERSION}, which is what this site reads, got {state.get('version')!r:.20}."
        )
    if unknown := sorted(state.keys() - set(PARTS)):
        raise BadState(f"{unknown[0][:40]!r} is no part of a view; expected {', '.join(PARTS)}.")
    if state.get("layout", "both") not in LAYOUTS:
        raise BadState(f"layout: expected one of {', '.join(LAYOUTS)}.")
    if not isinstance(state.get("table", {}), dict):
        raise BadState("table: expected an object.")
    for name in ("drawn", "others"):
        codes = state.get(name, [])
        if not isinstance(codes, list) or len(codes) > MAX_DRAWN or not all(is_code(code) for code in codes):
            raise BadState(f"{name}: expected a list of at most {MAX_DRAWN} codes of runs.")
    return state


def is_code(code: Any) -> bool:
    return isinstance(code, str) and 0 < len(code) <= 16
