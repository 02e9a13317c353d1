"""Starting something beside the test: in threads, and in goroutines when they are there."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Optional

import gort

#: Not a time that anything takes: only that it did not hang.
LONG = 60.0


class Task:
    """A call in another thread or goroutine; ``join`` gives its result or raises its exception."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._fn = fn
        self._args = args
        self._result: Any = None
        self._error: Optional[BaseException] = None
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            self._result = self._fn(*self._args)
        except BaseException as error:
            self._error = error
        finally:
            del self._fn, self._args
            self._ended.set()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def join(self) -> Any:
        assert self._ended.wait(LONG), "it hangs"
        if self._error is not None:
            raise self._error
        return self._result


def thread(fn: Callable[..., Any], *args: Any) -> Task:
    task = Task(fn, args)
    threading.Thread(target=task.run, daemon=True).start()
    return task


def goroutine(fn: Callable[..., Any], *args: Any) -> Task:
    task = Task(fn, args)
    gort.go(task.run)
    return task


KINDS = {"thread": thread}
if hasattr(gort, "go"):
    KINDS["goroutine"] = goroutine


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.001)
