"""Go's concurrency for Python: goroutines, channels and select."""

from __future__ import annotations

import os as _os

from ._gort import (
    Canceled,
    Case,
    Chan,
    Closed,
    Deadlock,
    DeadlineExceeded,
    Error,
    RecvChan,
    SendChan,
    Ticker,
    Timer,
    WouldBlock,
    after,
    select,
    sleep,
    version,
)

__all__ = [
    "Canceled",
    "Case",
    "Chan",
    "Closed",
    "Deadlock",
    "DeadlineExceeded",
    "Error",
    "RecvChan",
    "SendChan",
    "Ticker",
    "Timer",
    "WouldBlock",
    "after",
    "get_include",
    "get_library",
    "select",
    "sleep",
    "version",
]

__version__ = version()


def get_include() -> str:
    """The directory of gort.h, gort_typed.h and gort.hpp: for C code that shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The path of the library that this package uses: link C code with it, and it shares the runtime."""
    return _os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "lib", "libgort.so.0")
