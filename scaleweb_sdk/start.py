"""`init`: from arguments and environment to a run whose link is being made in the background."""

import atexit
import json
import logging
import os
import signal
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from . import process
from .link import Link
from .protocol import Welcome
from .ranks import rank_and_world
from .run import Run, plain

logger = logging.getLogger("scaleweb")
MODES = ("online", "offline", "disabled")
live: list[Run] = []


def init(
    experiment: str = "",
    project: str = "",
    name: str = "",
    config: dict[str, Any] | None = None,
    tags: list[str] | None = None,
    mode: str = "",
    dir: str | Path | None = None,
    url: str = "",
    token: str = "",
    capture: bool | None = None,
) -> Run:
    """Begin a run, or join the one that a job's environment names. Returns at once, whatever the server does.

    mode: online; offline (kept in `dir` for `scaleweb sync`); disabled (does nothing). By default online where
    an address and a token are known (arguments, SCALEWEB_URL and SCALEWEB_TOKEN, or `scaleweb login`), else
    offline. capture: copy stdout and stderr to the run's log; by default on, and off inside a job, whose
    supervisor does it. Raises ValueError for an unknown mode.
    """
    mode = mode or os.environ.get("SCALEWEB_MODE", "")
    if mode and mode not in MODES:
        raise ValueError(f"mode={mode!r}; expected online, offline or disabled")
    rank, world_size = rank_and_world()
    code = os.environ.get("SCALEWEB_RUN", "")
    run = Run(code, rank, world_size)
    if mode == "disabled":
        return run
    from .settings import credentials

    url, token = credentials(url, token)
    folder = Path(dir or os.environ.get("SCALEWEB_SPOOL_DIR") or "scaleweb-spool")
    online = mode != "offline" and bool(url and token)
    if not online and mode == "online":
        logger.warning(
            "scaleweb: no address or token, so the run is kept in %s; see `scaleweb login`", folder
        )
    wanted = {
        "experiment_name": experiment or Path(os.environ.get("PWD", ".")).name or "default",
        "config": plain(config or {}),
    }
    wanted |= {key: value for key, value in (("project", project), ("name", name), ("tags", tags)) if value}
    session = uuid.uuid4().hex
    link = Link(
        url if online else "",
        token if online and (code or rank) else "",
        f"run:{code}" if code else "",
        session=session,
        spool_dir=folder,
        rank=rank,
        world_size=world_size,
        attempt=int(os.environ.get("SCALEWEB_ATTEMPT") or 0),
        process=process.describe() | {"world_size": world_size},
        on_orders=run.receive,
        on_welcome=lambda welcome: welcomed(run, welcome),
        applied_seq=lambda: run.applied_seq,
        fill=run.fill,
    )
    link.spool.describe(wanted=wanted, started=process.describe()["started_at"], attempt=link.attempt)
    if link.source and link.token:
        link.spool.describe(url=url, token=link.token)  # so that `scaleweb sync` can send what is left
    run.attach(link)
    if config:
        run.config.update(config)
    if online and not link.token:
        # No run yet: it is created in the background while points go to the spool.
        threading.Thread(
            target=create, args=(run, link, url, token, wanted), name="scaleweb-create", daemon=True
        ).start()
    if capture is None:
        capture = os.environ.get("SCALEWEB_CAPTURE", "1") != "0"
    if capture and rank == 0:
        run.capture()
    watch_ending(run)
    return run


def create(run: Run, link: Link, url: str, token: str, wanted: dict[str, Any]) -> None:
    """Ask the server for a run until it answers; then the link may go up."""
    waits = iter([1, 2, 5])
    while not run.finished:
        try:
            made = request(url, "runs", token, wanted)
        except Unreachable as error:
            logger.debug("no run yet: %s", error)
            threading.Event().wait(next(waits, 10))
            continue
        except Declined as error:
            logger.warning(
                "scaleweb: %s. The run is kept in %s for `scaleweb sync`", error, link.spool.folder
            )
            return
        run.code = made["code"]
        run.address = f"{url.rstrip('/')}/runs/{run.code}"
        link.spool.describe(source=f"run:{run.code}", token=made["token"], url=url)
        link.source, link.token = f"run:{run.code}", made["token"]
        link.flush()
        print(f"scaleweb: {run.address}")
        return


class Unreachable(Exception):
    """No answer, or one that says to come again later."""


class Declined(Exception):
    """The server's reason for not doing what was asked."""


def request(url: str, path: str, token: str, body: Any = None, method: str = "", timeout: float = 10) -> Any:
    """One call of the REST API. Raises Unreachable or Declined."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(  # noqa: S310  the address is the user's own setting
        f"{url.rstrip('/')}/api/v1/{path}",
        data,
        {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        method=method or ("GET" if body is None else "POST"),
    )
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:  # noqa: S310
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        if error.code >= 500 or error.code == 429:
            raise Unreachable(f"the server answered {error.code}") from error
        raise Declined(sentence(error)) from error
    except (OSError, ValueError) as error:
        raise Unreachable(str(error)) from error


def sentence(error: urllib.error.HTTPError) -> str:
    try:
        answer = json.loads(error.read())
        fields = "; ".join(
            f"{name}: {' '.join(map(str, words))}" for name, words in answer.get("fields", {}).items()
        )
        return fields or str(answer.get("detail") or answer)
    except (ValueError, AttributeError, OSError):
        return f"the server answered {error.code} {error.reason}"


def welcomed(run: Run, welcome: Welcome) -> None:
    # A process that resumed counts on from where the server is; one that went on by itself keeps its own count.
    run.branch = max(run.branch, welcome.branch)


def watch_ending(run: Run) -> None:
    """Flush at exit, and let SIGTERM ask for an orderly stop before it ends the process."""
    if not live:
        atexit.register(finish_all)
    live.append(run)
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, on_sigterm)


def on_sigterm(number: int, _: Any) -> None:
    asked = [run for run in live if not run.finished and not run.should_stop]
    if not asked:
        # The second one ends the process, as without us.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    for run in asked:
        run.desk.stop("SIGTERM")


def finish_all() -> None:
    for run in live:
        if not run.finished:
            run.finish("stopped" if run.should_stop else "finished", timeout=5.0)


def after_fork() -> None:
    """In a forked child (a loader worker) the threads are gone: it must neither send nor wait."""
    for run in live:
        run.finished = True
        run.link = None
    live.clear()


os.register_at_fork(after_in_child=after_fork)
