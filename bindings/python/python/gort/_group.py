"""Groups: goroutines that work on one task, of which the first failure counts; Go's ``errgroup``.

The one thing to know: who takes the one permit of ``_first`` has failed first, and alone writes ``_error`` and cancels
the context. The wait group orders that before whoever has waited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from ._gort import Context, Semaphore, WaitGroup, go

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

__all__ = ["Group"]


class Group:
    """A group of goroutines, as a block: leaving it waits for all of them.

    The first exception in one of them, or in the block itself, cancels ``ctx`` and is raised at the end of the block.
    ``limit``: how many run at once; 0 admits none. A child of ``ctx`` is made for the group.

    Ctrl-C (``KeyboardInterrupt``) cancels the context and is raised at once, without waiting.
    """

    __slots__ = ("_ctx", "_error", "_first", "_free", "_wg", "__weakref__")

    def __init__(self, ctx: Optional[Context] = None, limit: Optional[int] = None) -> None:
        if limit is not None and limit < 0:
            raise ValueError("Group: limit must not be negative")
        parent = Context.background() if ctx is None else ctx
        self._ctx = parent.with_cancel()
        self._wg = WaitGroup()
        self._first = Semaphore(1)
        self._free = None if limit is None else Semaphore(limit)
        self._error: Optional[BaseException] = None

    @property
    def ctx(self) -> Context:
        """Done when a goroutine of the group has failed, when a wait has returned, or when its parent is done."""
        return self._ctx

    def go(self, fn: Callable[_P, object], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Start a goroutine of the group; at the limit, wait until one has ended."""
        if not callable(fn):
            raise TypeError("Group.go() needs something that can be called")
        if self._free is not None:
            self._free.acquire()
        self._start(fn, args, kwargs)

    def try_go(self, fn: Callable[_P, object], /, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Start a goroutine of the group, unless that would have to wait: then ``False``."""
        if not callable(fn):
            raise TypeError("Group.try_go() needs something that can be called")
        if self._free is not None and not self._free.try_acquire():
            return False
        self._start(fn, args, kwargs)
        return True

    def wait(self) -> None:
        """Wait for all, cancel the context, and raise the first exception, if there was one."""
        try:
            self._wg.wait()
        except KeyboardInterrupt as exc:
            self._ctx.cancel(exc)
            raise
        self._ctx.cancel()
        error = self._error
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame, which must not hold it.
                del error

    def _start(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._wg.add(1)
        try:
            go(self._run, fn, args, kwargs)
        except BaseException:
            self._end()
            raise

    def _run(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            fn(*args, **kwargs)
        except BaseException as exc:
            self._fail(exc)
        finally:
            self._end()

    def _end(self) -> None:
        if self._free is not None:
            self._free.release()
        self._wg.done()

    def _fail(self, exc: BaseException) -> None:
        if self._first.try_acquire():
            self._error = exc
            self._ctx.cancel(exc)

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if exc is None:
            self.wait()
            return
        self._fail(exc)
        if isinstance(exc, KeyboardInterrupt):
            self._ctx.cancel(exc)
            return
        try:
            self.wait()
        except BaseException as error:
            # The block's own exception goes on by itself, with its own traceback.
            if error is not exc:
                raise
