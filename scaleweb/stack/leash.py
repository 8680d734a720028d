"""Runs a command that ends when its parent does: `python leash.py PARENT_PID command argument…`.

Linux sends the signal itself (PR_SET_PDEATHSIG outlives exec). Elsewhere the command just runs, and a stack that
is killed outright leaves it to the next start.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)  # it died before the leash was on
    os.execvp(command[0], command)  # noqa: S606  that is its purpose; an argument list, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
