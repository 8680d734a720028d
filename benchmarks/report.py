"""What a benchmark says: a JSON object a line with `--json`, else a line for reading.

    report = Report("sdk_log", options.json)
    report.line("log of 5 values, offline, median", median_of(taken), "us", at_most=5, repeats=5)

Every object has `benchmark`, `name`, `value` and `unit`; a goal is `at_most` or `at_least`, and then `reached` says
whether it was. Whatever else is worth knowing goes in as further fields (`repeats`, `peer`, `note`…).
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any


def parser(doc: str | None, repeats: int | None = None) -> argparse.ArgumentParser:
    """Arguments that all modules share; `doc` is the module's docstring."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--json", action="store_true", help="a JSON object a line")
    if repeats is not None:
        made.add_argument("--repeats", type=int, default=repeats, help="medians of so many")
    return made


class Report:
    def __init__(self, benchmark: str, as_json: bool):
        self.benchmark, self.as_json = benchmark, as_json

    def line(self, name: str, value: float | None, unit: str, **fields: Any) -> None:
        """Printed at once, so that a long benchmark shows that it lives.

        A value of None says that there is no figure: `note` says why.
        """
        result: dict[str, Any] = {
            "benchmark": self.benchmark,
            "name": name,
            "value": None if value is None else rounded(value),
            "unit": unit,
        } | {field: given for field, given in fields.items() if given is not None}
        if value is not None and ("at_most" in result or "at_least" in result):
            result["reached"] = fields.get("at_least", -math.inf) <= value <= fields.get("at_most", math.inf)
        print(json.dumps(result) if self.as_json else readable(result), flush=True)


def readable(result: dict[str, Any]) -> str:
    value = result["value"]
    shown = "none" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    text = f"{result['name']:<58} {shown:>12} {result['unit']:<12}"
    for goal, words in (("at_most", "at most"), ("at_least", "at least")):
        if goal in result:
            text += f" goal: {words} {result[goal]:,}{'' if result.get('reached') else ', MISSED'}"
    for field in ("peer", "note"):
        if field in result:
            text += f" ({result[field]})"
    return text.rstrip()


def rounded(value: float) -> float:
    """To four digits: more is noise."""
    if value == 0 or not math.isfinite(value):
        return value
    digits = 3 - math.floor(math.log10(abs(value)))
    return round(value, digits) if digits > 0 else round(value)


def median_of_repeats(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def quantile(values: Sequence[float], part: float) -> float:
    """The least value that at least `part` (0..1) of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def machine() -> dict[str, Any]:
    """When, on what, with which versions: the line that figures are worthless without."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
        "commit": commit(),
        "database": os.environ.get("DATABASE_URL", "sqlite").split(":", 1)[0],
        "versions": {name: version(name) for name in ("django", "uvicorn", "websockets", "pcodec", "numpy")},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return done.stdout.strip() or "unknown"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def seeds_of(text: str) -> tuple[int, ...]:
    """ "1-3,7" to 1, 2, 3, 7."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
