"""The verb rescale in the process: save, say so in a file, and leave, to be started again on other devices.

The file lies beside the attempt's spool, where the node's worker looks for it once the process is gone: the server
may be away just then. `SCALEWEB_DEVICES` is what the attempt has, `SCALEWEB_MIN_DEVICES` and `SCALEWEB_MAX_DEVICES`
what its job may have.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .orders import Refused
from .ranks import number
from .tunables import declare

if TYPE_CHECKING:
    from .run import Run

VERB = "rescale"
FILE = "leaving.json"


def bounds(environ: Mapping[str, str] = os.environ) -> tuple[int, int, int] | None:
    """(devices now, least, most), None outside a job."""
    names = ("SCALEWEB_DEVICES", "SCALEWEB_MIN_DEVICES", "SCALEWEB_MAX_DEVICES")
    now, least, most = (number(environ, name) or 0 for name in names)
    return (now, least, most) if 1 <= least <= most and now >= 1 else None


def offer(run: "Run", save: Callable[[], Any]) -> None:
    """Offer rescale where this process belongs to a job; `save()` must leave a registered checkpoint."""
    found = bounds()
    if found is None:
        return
    now, least, most = found
    run.offer(
        VERB,
        lambda value: leave(run, save, value),
        "Save a checkpoint and go on from it with another number of devices, or on another node.",
        [
            declare("devices", min(max(now, least), most), low=least, high=most, description="How many."),
            declare("elsewhere", False, description="On another node, where there is one."),
        ],
    )


def leave(run: "Run", save: Callable[[], Any], value: dict[str, Any]) -> dict[str, Any]:
    """Save, write the file and ask the script to leave its loop. Raises Refused; then nothing has changed."""
    found = bounds()
    now = 0 if found is None else found[0]
    if value["devices"] == now and not value["elsewhere"]:
        raise Refused(f"it has {now} device{'s' if now > 1 else ''} already")
    save()
    told = {**value, "from": now, "step": run.current_step}
    if run.rank == 0:
        write(told)
    run.desk.leave(f"rescale from {now} to {value['devices']} devices")
    return told


def write(told: dict[str, Any]) -> None:
    """Whole or not at all. Raises Refused."""
    spool = os.environ.get("SCALEWEB_SPOOL_DIR")
    if not spool:
        raise Refused("SCALEWEB_SPOOL_DIR is not set: this process was not started by a node's worker")
    path = Path(spool).parent / FILE
    part = path.with_name(FILE + ".new")
    try:
        part.write_text(json.dumps(told))
        os.replace(part, path)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}") from None
