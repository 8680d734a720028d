"""What somebody asks to be run: every field checked before anything is written."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from monitoring.models import Device
from monitoring.plain import NotPlain, plain
from training.models import WorkingCopy
from training.models.job import Keep, Launcher, Preemptible

from . import code, dependencies, wishes
from .refused import JobRefused

MAX_ARGUMENTS = 1000
MAX_TEXT = 100_000
MAX_PRIORITY = 1000
MAX_LABELS = 20
# The site's own; a job that set them could speak for another run or reach the broker.
RESERVED = re.compile(r"(SCALEWEB_.*|REDIS_URL|DATABASE_URL|DJANGO_SETTINGS_MODULE)$")


@dataclass
class Request:
    """A job as it is asked for.

    cwd: an absolute folder on the node; empty for a folder of the attempt's own; with files, a folder among them.
    working_copy: what was sent, or its SHA-256. git: {"url", "revision"} to be fetched, or of what was sent what it was
    made from ("branch" and "dirty" too). min_devices..max_devices
    of device_kind on one node, or on up to max_nodes where launcher is torchrun: then the command runs once for each
    device, as the ranks of one training. keep: what stays as it is when their number changes (models.job.Keep).
    device_name, device_memory_bytes, memory_bytes, node_labels: what its nodes must have (`wishes`). deadline: it is
    ended then. preemptible: whether it may be asked to leave for another (models.job.Preemptible).
    after: "CODE", "CODE:any" or "CODE:failed" of jobs or groups that it waits for.
    """

    argv: list[str]
    name: str = ""
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = ""
    working_copy: WorkingCopy | str | None = None
    git: dict[str, Any] = field(default_factory=dict)
    device_kind: str = "cpu"
    device_name: str = ""
    device_memory_bytes: int | None = None
    memory_bytes: int | None = None
    node_labels: dict[str, str] = field(default_factory=dict)
    min_devices: int = 1
    max_devices: int = 1
    launcher: str = Launcher.ONCE
    max_nodes: int = 1
    keep: str = Keep.BATCH
    priority: int = 0
    preemptible: str = Preemptible.SAVED
    deadline: datetime | None = None
    max_retries: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    on: list["dependencies.Target"] = field(default_factory=list, init=False)
    group_index: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name in ("env", "config", "node_labels", "git"):
            setattr(self, name, dict(getattr(self, name) or {}))
        self.tags, self.after = list(self.tags or []), list(self.after or [])

    def check(self, experiment: Any) -> None:
        """Raises JobRefused."""
        check_argv(self.argv)
        check_env(self.env)
        self.check_resources()
        code.check_git(self.git, self.working_copy is not None)
        code.check_cwd(self.cwd, bool(self.git or self.working_copy))
        if isinstance(self.working_copy, str):
            self.working_copy = code.found_copy(self.working_copy, experiment)
        check_launcher(self.launcher, self.max_nodes, self.max_devices, self.keep)
        if self.preemptible not in Preemptible.values:
            raise JobRefused(
                "preemptible",
                f"preemptible={self.preemptible!r:.40}; expected {', '.join(Preemptible.values)}",
            )
        if not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise JobRefused(
                "priority",
                f"priority={self.priority}; expected -{MAX_PRIORITY} to {MAX_PRIORITY}, 0 is usual",
            )
        if self.deadline is not None and self.deadline <= timezone.now():
            raise JobRefused(
                "deadline", f"{self.deadline:%Y-%m-%d %H:%M:%S %Z} is past; give a time that is still to come"
            )
        try:
            self.config = plain(self.config, "config")
        except NotPlain as error:
            raise JobRefused("config", str(error)) from None
        self.on = dependencies.found(self.after, experiment)
        wishes.check_existence(self.wish(), self.min_devices, self.max_nodes)

    def check_resources(self) -> None:
        if self.device_kind not in Device.Kind.values:
            raise JobRefused("device_kind", f"device_kind={self.device_kind!r:.40}; expected cpu or gpu")
        if not 1 <= self.min_devices <= self.max_devices:
            raise JobRefused(
                "max_devices",
                f"min_devices={self.min_devices} max_devices={self.max_devices}; expected 1 <= min <= max",
            )
        for name in ("memory_bytes", "device_memory_bytes"):
            asked = getattr(self, name)
            if asked is not None and asked < 1:
                raise JobRefused(name, f"{name}={asked}; expected a number of bytes above 0, or leave it out")
        if len(self.node_labels) > MAX_LABELS:
            raise JobRefused(
                "node_labels", f"{len(self.node_labels)} labels; at most {MAX_LABELS} can be asked for"
            )
        for label, value in self.node_labels.items():
            if not isinstance(value, str) or not label or len(label) > 100 or len(value) > 200:
                raise JobRefused(
                    "node_labels", f"{label!r:.80}={value!r:.80}: expected a name and text, such as zone=a"
                )

    def wish(self) -> wishes.Wish:
        return wishes.Wish.of(vars(self))

    def fields(self) -> dict[str, Any]:
        """Of the job's row."""
        left = {"name", "config", "tags", "after", "on"}
        return {name: value for name, value in vars(self).items() if name not in left}


def check_launcher(launcher: str, max_nodes: int, max_devices: int, keep: str) -> None:
    if launcher not in Launcher.values:
        raise JobRefused("launcher", f"launcher={launcher!r:.40}; expected {' or '.join(Launcher.values)}")
    if keep not in Keep.values:
        raise JobRefused("keep", f"keep={keep!r:.40}; expected {' or '.join(Keep.values)}")
    if not 1 <= max_nodes <= max_devices:
        raise JobRefused(
            "max_nodes",
            f"max_nodes={max_nodes}; expected 1 to max_devices={max_devices}: each node has a device at least",
        )
    if max_nodes > 1 and launcher != Launcher.TORCHRUN:
        raise JobRefused(
            "max_nodes",
            "a command that runs once cannot span nodes; set launcher to torchrun, or max_nodes to 1",
        )


def check_argv(argv: list[str]) -> None:
    if not isinstance(argv, list) or not argv or not all(isinstance(item, str) for item in argv):
        raise JobRefused(
            "argv", 'expected a list of arguments, such as ["python", "train.py", "--lr", "0.1"]'
        )
    if len(argv) > MAX_ARGUMENTS or max(map(len, argv)) > MAX_TEXT:
        raise JobRefused(
            "argv", f"expected at most {MAX_ARGUMENTS} arguments of at most {MAX_TEXT} characters"
        )
    if not argv[0].strip():
        raise JobRefused("argv", "the first argument is empty; it is the program to run")
    if any("\0" in item for item in argv):
        raise JobRefused("argv", "an argument holds a NUL character, which no program can be given")


def check_env(env: dict[str, str]) -> None:
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name):
            raise JobRefused(
                "env", f"{name!r:.80} is no name of an environment variable; use letters, digits, _"
            )
        if RESERVED.match(name):
            raise JobRefused("env", f"{name} is set by ScaleWeb itself; leave it out")
        if not isinstance(value, str) or "\0" in value or len(value) > MAX_TEXT:
            raise JobRefused("env", f"the value of {name} must be text of at most {MAX_TEXT} characters")
