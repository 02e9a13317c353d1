"""Go's concurrency for Python: goroutines, channels and select."""

from __future__ import annotations

import os as _os

from ._gort import (
    Canceled,
    Closed,
    Deadlock,
    DeadlineExceeded,
    Error,
    WouldBlock,
    go,
    gosched,
    max_procs,
    num_cpu,
    num_goroutines,
    run,
    sleep,
    version,
)
from ._hook import ExceptHookArgs, excepthook

__all__ = [
    "Canceled",
    "Closed",
    "Deadlock",
    "DeadlineExceeded",
    "Error",
    "ExceptHookArgs",
    "WouldBlock",
    "excepthook",
    "get_include",
    "get_library",
    "go",
    "gosched",
    "max_procs",
    "num_cpu",
    "num_goroutines",
    "run",
    "sleep",
    "version",
]

__version__ = version()
__excepthook__ = excepthook


def get_include() -> str:
    """The directory of gort.h, gort_typed.h and gort.hpp: for C code that shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The path of the library that this package uses: link C code with it, and it shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "lib", "libgort.so.0")
