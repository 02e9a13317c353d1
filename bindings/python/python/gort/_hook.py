"""What becomes of an exception that leaves a goroutine started by go()."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import NamedTuple, Optional, Type


class ExceptHookArgs(NamedTuple):
    """What gort.excepthook is called with, as threading.excepthook is."""

    exc_type: Type[BaseException]
    exc_value: BaseException
    exc_traceback: Optional[TracebackType]
    #: The number of the goroutine, as in dumps.
    goroutine: int
    #: Where it was started: file, line and name of the function; None: by C code.
    created: Optional[tuple[str, int, str]]


def excepthook(args: ExceptHookArgs) -> None:
    """Print the traceback and where the goroutine was started, and end the process with status 2.

    Assign another function to gort.excepthook to do something else. gort.__excepthook__ stays this one.
    """
    try:
        sys.stdout.flush()
    except Exception:
        pass
    try:
        text = [f"Exception in goroutine {args.goroutine}:\n"]
        text += traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        if args.created is not None:
            text.append('goroutine started at:\n  File "{}", line {}, in {}\n'.format(*args.created))
        sys.stderr.write("".join(text))
        sys.stderr.flush()
    finally:
        os._exit(2)


def escaped(value: BaseException, created: Optional[tuple[str, int, str]], goroutine: int) -> None:
    """An exception has left a goroutine. Called by the native module, in that goroutine."""
    if isinstance(value, SystemExit):
        # As in a thread: it ends the goroutine.
        return
    args = ExceptHookArgs(type(value), value, value.__traceback__, goroutine, created)
    gort = sys.modules.get("gort")
    hook = getattr(gort, "excepthook", excepthook)
    try:
        hook(args)
    except BaseException as error:
        if isinstance(error, SystemExit):
            return
        sys.stderr.write("Exception in gort.excepthook, called for another exception in a goroutine:\n")
        traceback.print_exception(type(error), error, error.__traceback__)
        excepthook(args)
