"""What a process on a GPU is, as the host tells it: of which run, whose, what it runs, since when."""

import contextlib
import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

import psutil

from .readings import GpuProcess

INTERPRETER = re.compile(r"python[0-9.]*|bash|sh|perl|ruby|node|java")
VALUED = {"-W", "-X", "-Q"}  # Python's options whose value is an argument of its own
LONGEST = 100


def gpu_process(pid: int, memory_used_bytes: int | None) -> GpuProcess:
    """What is not told, because it is gone or another user's, is absent."""
    try:
        found = known(pid, psutil.Process(pid).create_time())
    except (psutil.Error, OSError):
        return GpuProcess(pid, memory_used_bytes)
    return replace(found, memory_used_bytes=memory_used_bytes)


@functools.lru_cache(maxsize=1000)
def known(pid: int, started: float) -> GpuProcess:
    """Asked once a process: who a user is may be a question to a directory over the network."""
    process, run, user, command = psutil.Process(pid), None, "", ""
    with contextlib.suppress(psutil.Error, OSError):
        run = process.environ().get("SCALEWEB_RUN")  # its supervisor, or whoever started it, gave it that
    with contextlib.suppress(psutil.Error, OSError):
        user = process.username()[:LONGEST]
    with contextlib.suppress(psutil.Error, OSError):
        command = command_of(process.cmdline(), process.name())
    return GpuProcess(pid, None, run, user, command, started)


def command_of(argv: Sequence[str], name: str) -> str:
    """The program, with the script or module that an interpreter runs. Never more: arguments hold passwords."""
    # A process that calls itself something has it all in the first.
    first = argv[0].split() if argv else []
    program = PurePath(first[0]).name if first else name
    if INTERPRETER.fullmatch(program):
        program = " ".join([program, *script_of(argv[1:])])
    return program[:LONGEST]


def script_of(arguments: Sequence[str]) -> list[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument == "-m":
            return ["-m", *[module.split()[0] for module in [next(rest, "")] if module.strip()]]
        if argument == "-c" or not argument:
            return []
        if argument in VALUED:
            next(rest, None)
        elif not argument.startswith("-"):
            return [PurePath(argument).name]
    return []
