"""How runs end: with the script or its error, at a signal, with the interpreter, or in a forked child."""

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .plain import text as legible
from .protocol import EventKind

if TYPE_CHECKING:
    from .run import Run

live: list["Run"] = []
uncaught: list[BaseException] = []
watching = False


def leave(run: "Run", error: BaseException | None) -> None:
    """End the run as its `with` block, or its script, was left."""
    if error is None or (isinstance(error, SystemExit) and not error.code):
        run.finish()
    elif isinstance(error, KeyboardInterrupt):
        run.finish("stopped", "interrupted from the keyboard")
    else:
        run.fail(error)


def fail(run: "Run", error: BaseException, timeout: float) -> None:
    try:
        text = "".join(traceback.format_exception(error))
        message = "".join(traceback.format_exception_only(error)).strip()
    except Exception:  # noqa: BLE001  an error whose text cannot be made is still an error
        text = message = type(error).__name__
    run.event(EventKind.ERROR, {"message": legible(message[:2000]), "traceback": legible(text[-10_000:])})
    run.finish("failed", message[:2000], timeout)


def watch(run: "Run") -> None:
    """Flush at exit, and let SIGTERM ask for an orderly stop before it ends the process."""
    global watching
    if not watching:
        watching = True
        atexit.register(finish_all)
        sys.excepthook = noting(sys.excepthook)
    live[:] = [each for each in live if not each.finished] + [run]
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, on_sigterm)


def on_sigterm(number: int, _: Any) -> None:
    asked = [run for run in live if not (run.finished or run.should_stop or run.desk.stop_wish)]
    if not asked:
        # The second one ends the process, as without us.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    for run in asked:
        run.desk.stop("SIGTERM")


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


def noting(hook: Hook) -> Hook:
    """The hook for what ends the script uncaught: it ends the runs too, as they would not have by themselves."""

    def note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        hook(kind, error, trace)
        uncaught.append(error)

    return note


def finish_all() -> None:
    """At the end of the script, for runs that it did not finish itself."""
    for run in live:
        if run.finished:
            continue
        if not uncaught:
            run.finish(timeout=5.0)
        elif isinstance(uncaught[-1], KeyboardInterrupt):
            run.finish("stopped", "interrupted from the keyboard", timeout=5.0)
        else:
            run.fail(uncaught[-1], timeout=5.0)


def after_fork() -> None:
    """In a forked child (a loader worker) the threads are gone: it must neither send nor wait."""
    for run in live:
        run.forget()
    live.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=after_fork)
