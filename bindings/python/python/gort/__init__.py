"""Go's concurrency for Python: goroutines, channels and select."""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ._gort import (
    Canceled,
    Case,
    Chan,
    Closed,
    Cond,
    Context,
    DeadlineExceeded,
    Deadlock,
    Error,
    Mutex,
    Once,
    RLock,
    RWMutex,
    RecvChan,
    Semaphore,
    SendChan,
    Ticker,
    Timer,
    WaitGroup,
    WouldBlock,
    after,
    go,
    gosched,
    max_procs,
    num_cpu,
    num_goroutines,
    run,
    select,
    signal_notify,
    signal_stop,
    sleep,
    version,
)
from ._group import Group
from ._hook import ExceptHookArgs, excepthook
from ._inspect import Stats, dump, stats

__all__ = [
    "Canceled",
    "Case",
    "Chan",
    "Closed",
    "Cond",
    "Context",
    "DeadlineExceeded",
    "Deadlock",
    "Error",
    "ExceptHookArgs",
    "Executor",
    "Group",
    "Mutex",
    "Once",
    "RLock",
    "RWMutex",
    "RecvChan",
    "Semaphore",
    "SendChan",
    "Stats",
    "Ticker",
    "Timer",
    "WaitGroup",
    "WouldBlock",
    "after",
    "dump",
    "excepthook",
    "get_include",
    "get_library",
    "go",
    "gosched",
    "max_procs",
    "num_cpu",
    "num_goroutines",
    "run",
    "select",
    "signal_notify",
    "signal_stop",
    "sleep",
    "stats",
    "version",
]

if _TYPE_CHECKING:
    from ._executor import Executor

__version__ = version()
__excepthook__ = excepthook


def get_include() -> str:
    """The directory of gort.h, gort_typed.h and gort.hpp: for C code that shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The path of the library that this package uses: link C code with it, and it shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "lib", "libgort.so.0")


def __getattr__(name: str) -> _Any:
    # concurrent.futures takes longer to import than all the rest.
    if name == "Executor":
        from ._executor import Executor

        globals()[name] = Executor
        return Executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
