"""All measurements of ours, one after another, into a file of JSON lines: `make bench`.

    python -m benchmarks [--only sdk_log,start] [--into .bench/results.jsonl]

The machine should do nothing else meanwhile. A module that fails is said so, and the others go on; the exit status
is then 1. A goal that is missed is no failure: it is in its line.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.report import machine, readable

TOP = Path(__file__).resolve().parents[1]
RESULTS = TOP / ".bench" / "results.jsonl"
# Each with what it is asked for beside --json.
MODULES: dict[str, list[str]] = {
    "sdk_log": [], "step_overhead": [], "unwatched": [], "ingest": ["--database", "sqlite"], "chart_read": [],
    "storage": [], "run_list": [], "run_table": [], "live": [],
    "fan_out": [], "storm": [], "control_latency": ["--rest"],
    "controller_tick": [], "placement_tick": [], "placement": [], "pixel": [], "first_paint": [], "board": [],
    "cold_page": [], "start": [], "jobs": [], "quick_starts": [],
}  # fmt: skip
SECONDS = 900


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--only", default=",".join(MODULES), help="modules, separated by commas")
    arguments.add_argument("--into", type=Path, default=RESULTS, help="the file of results, written anew")
    options = arguments.parse_args()
    wanted = options.only.split(",")
    if unknown := [name for name in wanted if name not in MODULES]:
        arguments.error(f"no module {', '.join(unknown)}; expected some of {', '.join(MODULES)}")
    options.into.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    with open(options.into, "w") as results:
        print(json.dumps({"benchmark": "machine", "name": "cores", "unit": "cores"} | about()), file=results)
        for name in wanted:
            print(f"-- {name}", flush=True)
            lines, problem = measured(name)
            for line in lines:
                results.write(line + "\n")
                print(readable(json.loads(line)), flush=True)
            results.flush()
            if problem:
                failed.append(name)
                print(f"{name} failed: {problem}", file=sys.stderr, flush=True)
    print(f"written to {options.into}; failed: {', '.join(failed) or 'none'}")
    sys.exit(1 if failed else 0)


def about() -> dict:
    found = machine()
    return {"value": found.pop("cores"), **found}


def measured(name: str) -> tuple[list[str], str]:
    """(its lines, what went wrong). What it told before it failed counts."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *MODULES[name]]
    child = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told, errors = child.communicate(timeout=SECONDS)
        problem = errors.strip()[-1000:] if child.returncode else ""
    except subprocess.TimeoutExpired:
        child.terminate()
        told, _ = child.communicate()
        problem = f"not done after {SECONDS} s"
    return [line for line in told.splitlines() if line.startswith('{"benchmark"')], problem


if __name__ == "__main__":
    main()
