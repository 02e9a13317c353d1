"""What the tests of channels share: people who work at the same time, and ways to wait for them.

Every test runs with plain threads and with goroutines.
"""

from __future__ import annotations

import ctypes
import queue
import threading
import time
from typing import Any, Callable

import gort

KINDS = ["thread", "goroutine"] if hasattr(gort, "go") else ["thread"]

PATIENCE = 60.0
"""Seconds after which something has hung: no test depends on how long something takes."""

_library = ctypes.CDLL(gort.get_library())
_library.gort_chan_waiters.restype = ctypes.c_size_t
_library.gort_chan_waiters.argtypes = [ctypes.c_void_p]


class Crew:
    """Functions that run at the same time."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.count = 0
        self.ends: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def go(self, fn: Callable[..., Any], *args: Any) -> None:
        self.count += 1
        if self.kind == "goroutine":
            gort.go(self._run, fn, args)
        else:
            threading.Thread(target=self._run, args=(fn, args), daemon=True).start()

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        end = None
        try:
            fn(*args)
        except BaseException as exception:
            end = exception
        del fn, args
        self.ends.put(end)

    def join(self) -> None:
        """Wait for all; raise what one of them has raised."""
        first = None
        while self.count:
            end = self.ends.get(timeout=PATIENCE)
            self.count -= 1
            first = first or end
        if first is not None:
            raise first


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.0005)


def waiters(ch: gort.Chan[Any]) -> int:
    """How many wait in the channel."""
    return int(_library.gort_chan_waiters(ch.handle))


def parked(ch: gort.Chan[Any], count: int) -> None:
    """Wait until so many wait in the channel."""
    wait_until(lambda: waiters(ch) == count)
