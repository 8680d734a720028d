"""How long `make run` takes to be ready, with everything installed: first start (databases are made) and later ones.

python -m benchmarks.start [--repeats 5] [--json]
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.stack import RunningStack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    arguments = parser.parse_args()
    first: list[float] = []
    later: list[float] = []
    stops: list[float] = []
    for _ in range(arguments.repeats):
        with TemporaryDirectory(prefix="sw-") as folder:
            for taken in (first, later):
                stack = RunningStack(Path(folder) / "home")
                start = time.perf_counter()
                stack.start()
                taken.append(time.perf_counter() - start)
                start = time.perf_counter()
                stack.stop()
                stops.append(time.perf_counter() - start)
    for name, taken in (("first start", first), ("later start", later), ("stop", stops)):
        result = {"name": name, "value": round(statistics.median(taken), 2), "unit": "s"}
        print(
            json.dumps(result)
            if arguments.json
            else f"{name:<15} median {result['value']} s, worst {max(taken):.2f} s"
        )


if __name__ == "__main__":
    main()
