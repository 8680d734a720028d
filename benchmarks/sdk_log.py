"""What a `log` of 5 values costs the training process: with a server, with none, and while the server is dead.

    python -m benchmarks.sdk_log [--calls 20000] [--repeats 5] [--json]

The training sleeps a millisecond after each 20 calls, so that the link's thread has its turns as beside a real one.
Each case is a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.report import Report, parser
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
    arguments = parser(__doc__, repeats=5)
    arguments.add_argument("--calls", type=int, default=20_000)
    options = arguments.parse_args()
    report = Report("sdk_log", options.json)
    with measured_site() as site:
        online = {"SCALEWEB_URL": site.url, "SCALEWEB_TOKEN": site.token, "SCALEWEB_RUN": site.run}
        dead = online | {"SCALEWEB_URL": "http://127.0.0.1:9"}
        for name, environment in (
            ("with a server", online),
            ("offline", {"SCALEWEB_MODE": "offline"}),
            ("server dead", dead),
        ):
            found = [case(options.calls, **environment) for _ in range(options.repeats)]
            for figure, goal in (("median", 5), ("p99", 50)):
                value = statistics.median(each[f"{figure}_us"] for each in found)
                report.line(
                    f"log of 5 values, {name}, {figure}", value, "us", at_most=goal, repeats=options.repeats
                )


if __name__ == "__main__":
    main()
