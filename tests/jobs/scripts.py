"""Scripts for jobs of tests, and what they printed."""

from monitoring.storage import logs
from training.jobs.processes import read_json

TRAINS = """
    import scaleweb_sdk
    run = scaleweb_sdk.init()
    for step in range({steps}):
        run.step({{"loss": 1.0 / (1 + step)}})
    print("trained")
    run.finish()
"""
WAITS = """
    import scaleweb_sdk, time
    run = scaleweb_sdk.init()
    print("at work", flush=True)
    while not run.should_stop:
        run.step({"loss": 1.0})
        time.sleep(0.01)
    run.finish()
"""


WAITS_FOR = """
    import pathlib, time
    print("at work", flush=True)
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.01)
    print(*range(50), sep="\\n", flush=True)
"""


def lines_of(job):
    return [text for _, _, text in logs.read(job.run.source).lines]


def state_of(bench, attempt):
    return read_json(bench.local(attempt).folder / "state.json")
