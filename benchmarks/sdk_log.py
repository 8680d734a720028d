"""What a `log` of 5 values costs the training process: with a server, with none, and while the server is dead.

    python -m benchmarks.sdk_log [--calls 20000] [--json]

The training sleeps a millisecond after each 20 calls, so that the link's thread has its turns as beside a real one.
Each case is a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from benchmarks.site import measured_site

CHILD = """
import json, statistics, sys, time
import scaleweb_sdk
calls = int(sys.argv[1])
run = scaleweb_sdk.init(experiment="bench", capture=False, dir=sys.argv[2])
taken = []
values = {"loss": 0.5, "lr": 0.1, "grad_norm": 1.25, "accuracy": 0.75, "speed": 311.0}
clock = time.perf_counter
for step in range(calls):
    values["loss"] = 1.0 / (1 + step)
    start = clock()
    run.log(values, step=step)
    taken.append(clock() - start)
    if step % 20 == 0:
        time.sleep(0.001)
run.finish(timeout=5)
taken.sort()
print(json.dumps({"median_us": statistics.median(taken) * 1e6, "p99_us": taken[int(calls * 0.99)] * 1e6}))
"""


def case(calls: int, **environment: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(calls), folder], env=kept | environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    arguments = parser.parse_args()
    with measured_site() as site:
        online = {"SCALEWEB_URL": site.url, "SCALEWEB_TOKEN": site.token, "SCALEWEB_RUN": site.run}
        cases = {
            "with a server": case(arguments.calls, **online),
            "offline": case(arguments.calls, SCALEWEB_MODE="offline"),
            "server dead": case(arguments.calls, **online | {"SCALEWEB_URL": "http://127.0.0.1:9"}),
        }
    for name, found in cases.items():
        for figure in ("median_us", "p99_us"):
            result = {
                "name": f"log of 5 values, {name}, {figure[:-3]}",
                "value": round(found[figure], 2),
                "unit": "us",
            }
            print(json.dumps(result) if arguments.json else f"{result['name']:<45} {result['value']:>8} us")


if __name__ == "__main__":
    main()
