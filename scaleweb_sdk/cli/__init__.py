"""The command `scaleweb`: log in, submit, look, steer, and send what was kept offline."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from scaleweb_sdk import settings
from scaleweb_sdk.rest import Declined, Unreachable

from . import node
from .checkpoints import checkpoints, fork, pin
from .clone import add_changes, clone
from .clone import add_options as add_clone_options
from .login import login, send_kept
from .look import export, jobs, logs, runs, show
from .queue import after, groups, stop
from .site import Wrong
from .steer import offered_verb, plain_verb, rescale, rollback, set_value
from .submit import add_options, submit
from .waiting import queue, quota


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="scaleweb", description="Submit, watch and steer training runs.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, work: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(work=work)
        return made

    def add_command(
        name: str,
        work: Callable[[argparse.Namespace], None],
        help: str,
        of: str = "the code of a run or of its job",
    ) -> argparse.ArgumentParser:
        made = add(name, work, help)
        made.add_argument("run", help=of)
        made.add_argument("--reason", default="", help="kept with the command")
        made.add_argument("--wait", type=float, default=10.0, help="seconds to wait for the process (10)")
        return made

    one = add("login", login, "store the site's address and your token")
    one.add_argument("url", nargs="?", default="")
    one.add_argument("--token-stdin", action="store_true", help="read the token from standard input")
    one = add("submit", submit, "queue a command: scaleweb submit -- python train.py --lr 0.1")
    add_options(one)
    one = add("clone", clone, "queue a run again with changes: scaleweb clone CODE --set lr=1e-3")
    add_clone_options(one)
    one = add("checkpoints", checkpoints, "which checkpoints a run has, newest first")
    one.add_argument("run", help="the code of a run or of its job")
    one.add_argument("-n", type=int, default=20)
    for name, help in (
        ("pin", "keep a checkpoint whatever the run's keep rule says"),
        ("unpin", "leave a checkpoint to the keep rule again"),
    ):
        one = add(name, pin, help)
        one.add_argument("run", help="the code of a run or of its job")
        one.add_argument("step", type=int, help="as `scaleweb checkpoints` lists it")
    one = add("fork", fork, "a new run that goes on from a checkpoint: scaleweb fork CODE 1000 --env K=V")
    one.add_argument("run", help="the code of a run or of its job")
    one.add_argument("step", type=int, help="the checkpoint's, as `scaleweb checkpoints` lists it")
    add_changes(one)
    one = add("runs", runs, "list runs, newest first")
    one.add_argument("-n", type=int, default=20)
    one.add_argument("--state", default="")
    one.add_argument("--search", default="")
    one = add("jobs", jobs, "list jobs, newest first")
    one.add_argument("-n", type=int, default=20)
    one.add_argument("--state", default="")
    one = add("groups", groups, "list grids and arrays, newest first")
    one.add_argument("-n", type=int, default=20)
    one = add("after", after, "let a waiting job wait for other jobs, or for none")
    one.add_argument("job")
    one.add_argument("on", nargs="*", metavar="CODE[:ok|any|failed]", help="jobs, runs or groups")
    add_queue(add("queue", queue, "what waits, why and until when, and who uses what"))
    one = add("quota", quota, "devices that are a project's own; a site administrator sets them")
    one.add_argument("project")
    one.add_argument("devices", nargs="?", type=int, help="how many; left out, they are shown")
    one.add_argument("--cpu", action="store_true", help="CPU slots instead of GPUs")
    one.add_argument("--borrow", default="", help="how many more while they are idle, or any (the default)")
    one.add_argument("--none", action="store_true", help="take the quota away")
    one = add("show", show, "a run's state, latest figures and what can be set")
    one.add_argument("run")
    one = add("logs", logs, "what a run printed")
    one.add_argument("run")
    one.add_argument("-n", type=int, default=100, help="lines from the end (100)")
    one.add_argument(
        "--grep", default="", metavar="WORDS", help="only lines with these words, whatever their case"
    )
    one.add_argument(
        "--level",
        default="",
        choices=["debug", "info", "warning", "error"],
        help="only lines of this level or above",
    )
    one.add_argument("-f", "--follow", action="store_true")
    one = add_command("set", set_value, "set a tunable of a running run")
    one.add_argument("name")
    one.add_argument("value")
    for verb, help in (
        ("pause", "let a run wait at its next step, until it is resumed"),
        ("resume", "let a paused run go on"),
        ("checkpoint", "save a checkpoint"),
    ):
        add_command(verb, plain_verb, help)
    one = add_command("rollback", rollback, "go back to a checkpoint, the newest by default")
    one.add_argument("step", nargs="?", type=int)
    one = add_command("rescale", rescale, "let it go on from a checkpoint with another number of devices")
    one.add_argument("devices", nargs="?", type=int)
    one.add_argument("--elsewhere", action="store_true", help="on another node, where there is one")
    for verb, help in (
        ("prune", "hold the least weights at zero, as in amount=0.5"),
        ("quantise", "export a copy with weights of 8 bits"),
        ("compile", "let torch.compile build the model's passes"),
    ):
        one = add_command(verb, offered_verb, help)
        one.add_argument("settings", nargs="*", metavar="name=value")
        one.add_argument("--dry", action="store_true", help="measure it and change nothing")
    add_command(
        "stop", stop, "end a run, take its job out of the queue, or end a whole grid or array",
        "the code of a run, a job, a grid or an array",
    )  # fmt: skip
    one = add("export", export, "a run's points on standard output")
    one.add_argument("run")
    one.add_argument("--format", choices=["jsonl", "csv"], default="jsonl")
    one.add_argument("--keys", default="", help="comma-separated; all by default")
    one = add("sync", send_kept, "send runs that were kept offline")
    one.add_argument("folder", nargs="?", default="scaleweb-spool")
    node.add_to(commands)
    return main


def add_queue(made: argparse.ArgumentParser) -> None:
    """queue, and queue move, priority, requeue and stop; JOB is a job or its run, or but for move a grid or array."""
    made.set_defaults(action="")
    actions = made.add_subparsers(dest="action", metavar="ACTION")
    one = actions.add_parser("move", help="put a waiting job next to another; it takes that one's priority")
    one.add_argument("job")
    side = one.add_mutually_exclusive_group(required=True)
    side.add_argument("--before", default="", metavar="JOB")
    side.add_argument("--behind", default="", metavar="JOB")
    one = actions.add_parser("priority", help="low, normal, high, urgent or a number")
    one.add_argument("job")
    one.add_argument("priority")
    for name, help in (
        ("requeue", "queue a job again that is over, or all of a grid or array that failed or were stopped"),
        ("stop", "end a job, or take it out of the queue; or all of a grid or array"),
    ):
        one = actions.add_parser(name, help=help)
        one.add_argument("job")
        if name == "requeue":
            one.add_argument("--step", type=int, help="of an older checkpoint to go on from (one job alone)")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.work(options)
    except Unreachable as error:
        url, _ = settings.credentials(getattr(options, "url", ""))
        print(f"scaleweb: {url or 'the site'} does not answer: {error}", file=sys.stderr)
        return 1
    except (Wrong, Declined) as error:
        print(f"scaleweb: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who read the output has enough of it, as `head` does; Python would complain as it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return 0
