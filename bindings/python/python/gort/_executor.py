"""``concurrent.futures`` on goroutines.

The one thing to know: a future's condition is replaced by one of gort's, so that a goroutine which waits for a result
parks. Everything else about it is the standard library's, which relies on a condition with a reentrant lock.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ._gort import Cond, Mutex, RLock, WaitGroup, go

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

__all__ = ["Executor"]

T = TypeVar("T")


class _Condition:
    """What ``concurrent.futures`` uses of a ``threading.Condition``."""

    __slots__ = ("_cond", "_lock", "acquire", "release")

    def __init__(self) -> None:
        self._lock = RLock()
        self._cond = Cond(self._lock)
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.release()

    def wait(self, timeout: Optional[float] = None) -> bool:
        try:
            self._cond.wait(timeout)
        except TimeoutError:
            return False
        return True

    def notify(self, n: int = 1) -> None:
        for _ in range(n):
            self._cond.signal()

    def notify_all(self) -> None:
        self._cond.broadcast()


class _Future(concurrent.futures.Future[T]):
    def __init__(self) -> None:
        super().__init__()
        self._condition = _Condition()  # type: ignore[assignment]


class _Task:
    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(
        self, future: _Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.future = future
        self.fn = fn
        self.args = args
        self.kwargs = kwargs

    def run(self) -> None:
        future = self.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self.fn(*self.args, **self.kwargs)
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)


class Executor(concurrent.futures.Executor):
    """A ``concurrent.futures.Executor`` whose workers are goroutines.

    ``max_workers``: how many run at once; ``None``: each call gets a goroutine of its own. To wait for a future in a
    goroutine parks it.
    """

    def __init__(self, max_workers: Optional[int] = None) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._max_workers = max_workers
        self._lock = Mutex()
        self._workers = 0
        self._waiting: deque[_Task] = deque()
        self._closed = False
        self._running = WaitGroup()

    def submit(
        self, fn: Callable[_P, T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> concurrent.futures.Future[T]:
        """Run ``fn(*args, **kwargs)`` in a goroutine; the future has its result or its exception."""
        future: _Future[T] = _Future()
        task = _Task(future, fn, args, kwargs)
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._max_workers is not None and self._workers >= self._max_workers:
                self._waiting.append(task)
                return future
            self._workers += 1
            self._running.add(1)
            try:
                go(self._work, task)
            except BaseException:
                self._workers -= 1
                self._running.done()
                raise
        return future

    def _work(self, task: Optional[_Task]) -> None:
        try:
            while task is not None:
                task.run()
                # A task holds its arguments: not while the next is waited for or run.
                task = None
                with self._lock:
                    if self._waiting:
                        task = self._waiting.popleft()
                    else:
                        self._workers -= 1
        finally:
            self._running.done()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls; those accepted are still run, unless ``cancel_futures``."""
        with self._lock:
            self._closed = True
            cancelled: list[_Task] = []
            if cancel_futures:
                cancelled.extend(self._waiting)
                self._waiting.clear()
        for task in cancelled:
            task.future.cancel()
        if wait:
            self._running.wait()
