"""`init`: from arguments and environment to a run whose link is being made in the background."""

import contextlib
import logging
import os
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

from . import ending, process, ranks
from .link import Link
from .plain import mapping, plain
from .points import shown
from .protocol import KNOWS, Welcome
from .rest import Declined, Unreachable, request
from .run import Run, muted
from .settings import credentials
from .spool import Spool

logger = logging.getLogger("scaleweb")
MODES = ("online", "offline", "disabled")


def init(
    experiment: str = "",
    project: str = "",
    name: str = "",
    config: Any = None,
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
    supervisor does it. A job has one run: a second `init` in it gives the one that is under way. Raises
    ValueError for an unknown mode, and nothing else: without a server, or a disk to write to, training goes on.
    """
    mode = mode or os.environ.get("SCALEWEB_MODE", "")
    if mode and mode not in MODES:
        raise ValueError(f"mode={mode!r}; expected online, offline or disabled")
    rank, world_size, local_rank = ranks.place()
    code = os.environ.get("SCALEWEB_RUN", "")
    if mode == "disabled":
        return muted(code, rank, world_size)
    begun = next((run for run in ending.live if code and run.code == code and not run.finished), None)
    if begun is not None:
        logger.warning(
            "scaleweb: this job's run %s is under way already; init() gives the same one again", code
        )
        tell_config(begun, config)
        return begun
    run = Run(code, rank, world_size)
    url, token = credentials(url, token)
    folder = Path(dir or os.environ.get("SCALEWEB_SPOOL_DIR") or "scaleweb-spool")
    online = mode != "offline" and bool(url and token)
    if not online and mode != "offline" and rank == 0:
        # Said without being asked for "online" too: who forgot the login would look for the run on the site.
        logger.warning(
            "scaleweb: no address or token is known, so the run is kept in %s."
            " `scaleweb login` stores them, and `scaleweb sync` sends it then",
            folder,
        )
    session = uuid.uuid4().hex
    wanted = {
        "session": session,
        "experiment_name": experiment or folder_name() or "default",
        "config": plain(mapping(config) or {}),
    }
    wanted |= {
        key: plain(value) for key, value in (("project", project), ("name", name), ("tags", tags)) if value
    }
    described = plain(process.describe() | {"world_size": world_size, "knows": list(KNOWS)})
    if world_size > 1:
        described |= {"local_rank": local_rank, "device": process.device_of(local_rank)}
    attempt = number_in("SCALEWEB_ATTEMPT")
    about = {"source": f"run:{code}" if code else "", "session": session, "role": "process", "rank": rank}
    about |= {"world_size": world_size, "process": described, "attempt": attempt}
    about |= {"wanted": wanted, "started": described["started_at"]}
    if online and code:
        about |= {"url": url, "token": token}  # so that `scaleweb sync` can send what is left
    spool = open_spool(folder, session, about)
    if spool is None:
        run.mute("there is no folder that it could be kept in")
        return run
    link = Link(
        url if online else "",
        token if online and (code or rank) else "",
        f"run:{code}" if code else "",
        session=session,
        spool=spool,
        rank=rank,
        world_size=world_size,
        attempt=attempt,
        resumed="SCALEWEB_RESUME" in os.environ,
        process=described,
        on_orders=run.receive,
        on_welcome=lambda welcome: welcomed(run, welcome),
        applied_seq=lambda: run.applied_seq,
        fill=run.fill,
        open_lines=run.open_lines,
    )
    run.branch = number_in("SCALEWEB_BRANCH")
    run.attach(link)
    tell_config(run, config)
    if online and not link.token:
        # No run yet: it is created in the background while points go to the spool.
        threading.Thread(
            target=create, args=(run, link, url, token, wanted), name="scaleweb-create", daemon=True
        ).start()
    if capture is None:
        capture = os.environ.get("SCALEWEB_CAPTURE", "1") != "0"
    if capture and rank == 0:
        run.capture()
    ending.watch(run)
    return run


def tell_config(run: Run, config: Any) -> None:
    found = mapping(config) if config else {}
    if found is None:
        logger.warning(
            "scaleweb: config=%s was not kept: expected a map, a dataclass or a namespace", shown(config)
        )
    elif found:
        run.config.update(found)


def folder_name() -> str:
    return Path(os.environ.get("PWD", ".")).name


def number_in(name: str) -> int:
    """The whole number in a variable of the environment; 0 for what is none."""
    try:
        return int(os.environ.get(name) or 0)
    except ValueError:
        logger.warning("scaleweb: %s=%r is not a number", name, os.environ[name])
        return 0


def open_spool(folder: Path, session: str, about: dict[str, Any]) -> Spool | None:
    """The session's spool in `folder`, else in the system's folder for temporary files; None if neither can be."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    for place in (folder, Path(tempfile.gettempdir()) / f"scaleweb-spool-{user}"):
        try:
            return Spool(place.absolute() / session, about)
        except OSError as error:
            logger.warning("scaleweb: nothing can be kept in %s: %s", place, error)
    logger.warning("scaleweb: the run is not recorded; training goes on")
    return None


def create(run: Run, link: Link, url: str, token: str, wanted: dict[str, Any]) -> None:
    """Ask the server for a run until it answers; then the link may go up."""
    waits = iter([1, 2, 5])
    # A script may have ended already: its link waits for this as long as `finish` was told to.
    while link.alive:
        try:
            made = request(url, "runs", token, wanted)
            code, run_token = str(made["code"]), str(made["token"])
        except Unreachable as error:
            logger.debug("no run yet: %s", error)
            threading.Event().wait(next(waits, 10))
            continue
        except Declined as error:
            logger.warning(
                "scaleweb: %s. The run is kept in %s for `scaleweb sync`", error, link.spool.folder
            )
            return
        except (KeyError, TypeError):
            logger.warning(
                "scaleweb: %s answers, but not as ScaleWeb does. The run is kept in %s for `scaleweb sync`",
                url, link.spool.folder,
            )  # fmt: skip
            return
        run.code = code
        run.address = f"{url.rstrip('/')}/runs/{run.code}"
        link.spool.describe(source=f"run:{run.code}", token=run_token, url=url)
        link.source, link.token = f"run:{run.code}", run_token
        link.flush()
        # On the error stream: what the script prints may be read by another program. Also of a script that has
        # ended by now, as the first one that a person tries often has; it may have closed the stream.
        with contextlib.suppress(OSError, ValueError):
            print(f"scaleweb: {run.address}", file=sys.stderr)
        return


def welcomed(run: Run, welcome: Welcome) -> None:
    # A process that resumed counts on from where the server is; one that went on by itself keeps its own count.
    run.branch = max(run.branch, welcome.branch)
