"""A new run like an old one, with some of it changed: the same files, command, resources and settings."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from training.models import Job, RunEvent

from .fork import LIKE
from .groups import as_setting
from .refused import JobRefused
from .submit import submit


def clone(
    job: Job,
    *,
    settings: Mapping[str, str] | None = None,
    argv: list[str] | None = None,
    env: Mapping[str, str | None] | None = None,
    config: Mapping[str, Any] | None = None,
    name: str = "",
    user: Any = None,
    **other: Any,
) -> Job:
    """settings: {"lr": "1e-3"} in the command and among the run's settings. env: changes; a variable that is None is
    left out. other: fields of LIKE. Deadline and what it waited for are the old one's alone. Raises JobRefused."""
    old = job.run
    changed = {name: value for name, value in (settings or {}).items()}
    command = with_settings(job.argv if argv is None else argv, changed)
    environment = {**job.env, **(env or {})}
    with transaction.atomic():
        made = submit(
            experiment=old.experiment,
            argv=command,
            env={variable: value for variable, value in environment.items() if value is not None},
            config={
                **old.config,
                **{name: as_setting(value) for name, value in changed.items()},
                **(config or {}),
            },
            name=name or named(old.name, changed),
            tags=list(old.tags),
            user=user,
            **{field: other.get(field, getattr(job, field)) for field in LIKE},
        )
        RunEvent.objects.create(
            run=made.run, kind="note", actor=user.get_username() if user else "system", data={"run": old.code},
            reason=f"made from {old.name} ({old.code})"
            + (": " + ", ".join(f"{name}={value}" for name, value in changed.items()) if changed else ""),
        )  # fmt: skip
    return made


def named(old: str, changed: Mapping[str, str]) -> str:
    said = " ".join(f"{name}={value}" for name, value in changed.items())
    return f"{old[:120]} {said}"[:200] if said else f"{old[:190]} again"


def with_settings(argv: list[str], changed: Mapping[str, str]) -> list[str]:
    """The command with other values: of `--lr 0.1`, `--lr=0.1` or `lr=0.1`; what it does not hold is added."""
    found = list(argv)
    for name, value in changed.items():
        if not name or name.startswith("-") or "=" in name:
            raise JobRefused("settings", f"{name!r:.60} is no name of a setting; give it without dashes")
        places = [
            at
            for at, word in enumerate(found)
            if word == f"--{name}" or word.startswith((f"--{name}=", f"{name}="))
        ]
        for at in places:
            if found[at] != f"--{name}":
                found[at] = found[at].partition("=")[0] + f"={value}"
            elif at + 1 < len(found):
                found[at + 1] = value
            else:
                found.append(value)
        if not places:
            found += [f"--{name}", value]
    return found
