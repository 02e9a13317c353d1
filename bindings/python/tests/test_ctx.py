"""Context: the tree, ends, causes, values, functions that are called at the end."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from typing import Any, Callable

import pytest

import gort
from gort import Context
from starting import KINDS, LONG, Task, until

Start = Callable[..., Task]
background = Context.background()


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    return KINDS[request.param]


def is_done(ctx: Context) -> bool:
    """By its channel, which is closed and has nothing in it."""
    try:
        ctx.done.try_recv()
    except gort.Closed:
        return True
    except gort.WouldBlock:
        return False
    raise AssertionError("something was sent on a done channel")


def test_the_background_is_never_done() -> None:
    assert Context.background() is background
    background.cancel()
    background.cancel(KeyError())
    assert background.err() is None
    assert background.cause() is None
    assert background.deadline is None
    assert background.value("key") is None
    assert not is_done(background)
    with pytest.raises(TimeoutError):
        background.done.recv(timeout=0.01)
    with pytest.raises(TypeError):
        Context()


def test_cancel_ends_all_below_and_nothing_above() -> None:
    top = background.with_cancel()
    middle = top.with_cancel()
    below = [middle.with_cancel(), middle.with_timeout(LONG), middle.with_value("a", 1), middle.with_value("b", 2).with_cancel()]
    aside = top.with_cancel()
    middle.cancel()
    for ctx in [middle, *below]:
        assert isinstance(ctx.err(), gort.Canceled)
        assert str(ctx.err()) == "context canceled"
        assert isinstance(ctx.cause(), gort.Canceled)
        assert is_done(ctx)
    for ctx in (top, aside):
        assert ctx.err() is None
        assert ctx.cause() is None
        assert not is_done(ctx)
    late = middle.with_cancel()
    assert isinstance(late.err(), gort.Canceled)
    top.cancel()
    assert is_done(aside)


def test_the_first_cause_counts() -> None:
    top = background.with_cancel()
    one, two = top.with_cancel(), top.with_value("k", "v")
    first, second, third = KeyError("first"), KeyError("second"), KeyError("third")
    one.cancel(first)
    one.cancel(second)
    top.cancel(third)
    assert one.cause() is first
    assert one.with_cancel().with_value(1, 2).cause() is first
    assert top.cause() is third
    assert two.cause() is third
    assert isinstance(one.err(), gort.Canceled)
    ctx = background.with_cancel()
    ctx.cancel()
    ctx.cancel(first)
    assert isinstance(ctx.cause(), gort.Canceled)
    for bad in (1, "text", KeyError):
        with pytest.raises(TypeError):
            background.with_cancel().cancel(bad)  # type: ignore[arg-type]


def test_timeouts_and_deadlines(start: Start) -> None:
    before = time.monotonic()
    ctx = background.with_timeout(0.03)
    assert ctx.deadline is not None
    assert before + 0.03 <= ctx.deadline <= time.monotonic() + 0.03
    assert ctx.err() is None

    def wait() -> None:
        with pytest.raises(gort.Closed):
            ctx.done.recv(timeout=LONG)
        assert time.monotonic() >= before + 0.03

    start(wait).join()
    assert isinstance(ctx.err(), gort.DeadlineExceeded)
    assert isinstance(ctx.err(), TimeoutError)
    assert isinstance(ctx.cause(), gort.DeadlineExceeded)
    ctx.cancel(KeyError())
    assert isinstance(ctx.cause(), gort.DeadlineExceeded)

    deadline = time.monotonic() + LONG
    later = background.with_deadline(deadline)
    assert later.deadline == pytest.approx(deadline, abs=1e-6)
    # The earlier one holds.
    assert later.with_timeout(10 * LONG).deadline == later.deadline
    assert isinstance(later.with_timeout(0).err(), gort.DeadlineExceeded)
    assert isinstance(later.with_deadline(1.0).err(), gort.DeadlineExceeded)
    assert background.with_timeout(float("inf")).deadline is None
    with pytest.raises(TypeError):
        background.with_timeout("soon")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        background.with_timeout(float("nan"))


def test_values() -> None:
    key = ("a", 1)
    ctx = background.with_value(key, "outer").with_cancel().with_value("b", None).with_timeout(LONG)
    inner = ctx.with_value(key, "inner")
    # Equal is enough, as in Go.
    assert ctx.value(("a", 1)) == "outer"
    assert inner.value(("a", 1)) == "inner"
    assert inner.value("b", "default") is None
    assert inner.value("c") is None
    assert inner.value("c", 5) == 5
    inner.cancel()
    assert inner.err() is None

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ArithmeticError

        __hash__ = object.__hash__

    with pytest.raises(ArithmeticError):
        inner.value(Odd())


def test_without_cancel() -> None:
    top = background.with_value("k", "v").with_timeout(LONG)
    kept = top.with_value("l", "w").without_cancel()
    below = kept.with_cancel()
    top.cancel()
    kept.cancel()
    assert kept.err() is None
    assert kept.deadline is None
    assert below.err() is None
    assert below.value("k") == "v"
    assert below.value("l") == "w"
    below.cancel()
    assert below.err() is not None


def test_the_block_cancels() -> None:
    with background.with_timeout(LONG) as ctx:
        assert ctx.err() is None
    assert isinstance(ctx.err(), gort.Canceled)
    with pytest.raises(KeyError), background.with_cancel() as ctx:
        raise KeyError
    assert isinstance(ctx.err(), gort.Canceled)


def test_cancel_wakes_who_waits(start: Start) -> None:
    ctx = background.with_cancel()

    def wait() -> int:
        with pytest.raises(gort.Closed):
            ctx.done.recv(timeout=LONG)
        assert ctx.done.recv_ok() == (None, False)
        return gort.select(gort.Chan[int](), ctx.done)[0]

    tasks = [start(wait) for _ in range(10)]
    time.sleep(0.01)
    assert not any(task.ended for task in tasks)
    ctx.cancel()
    assert [task.join() for task in tasks] == [1] * 10


def test_after_func(start: Start) -> None:
    calls: list[object] = []

    def call(*args: object, **kwargs: object) -> None:
        calls.append((args, kwargs, gort._gort.in_goroutine()))

    ctx = background.with_cancel()
    ctx.after_func(call, 1, two=3)
    stopped = ctx.after_func(call, "never")
    assert stopped() is True
    assert stopped() is False
    time.sleep(0.01)
    assert calls == []
    start(ctx.cancel).join()
    until(lambda: calls)
    assert calls == [((1,), {"two": 3}, True)]
    late = ctx.after_func(call)
    until(lambda: len(calls) == 2)
    assert late() is False
    stop = background.after_func(call)
    assert stop() is True
    assert stop() is False
    with pytest.raises(TypeError):
        ctx.after_func()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ctx.after_func(1)  # type: ignore[arg-type]


def test_after_func_by_a_deadline_that_nobody_holds() -> None:
    done = gort.Chan[int](1)
    background.with_timeout(0.02).after_func(done.send, 1)
    gc.collect()
    assert done.recv(timeout=LONG) == 1


def test_after_func_keeps_the_contextvars() -> None:
    import contextvars

    var: contextvars.ContextVar[int] = contextvars.ContextVar("var", default=0)
    seen = gort.Chan[int](1)
    ctx = background.with_cancel()
    var.set(1)
    ctx.after_func(lambda: seen.send(var.get()))
    var.set(2)
    ctx.cancel()
    assert seen.recv(timeout=LONG) == 1


def test_c_code_sees_the_same_context() -> None:
    import ctypes

    library = ctypes.CDLL(gort.get_library())
    library.gort_ctx_err.argtypes = library.gort_ctx_cancel.argtypes = [ctypes.c_void_p]
    library.gort_ctx_cancel_cause.argtypes = [ctypes.c_void_p, ctypes.c_int]
    ctx = background.with_cancel()
    other = Context.from_handle(ctx.handle)
    assert library.gort_ctx_err(ctx.handle) == 0
    library.gort_ctx_cancel_cause(ctx.handle, -5)
    assert isinstance(ctx.err(), gort.Canceled)
    assert isinstance(other.err(), gort.Canceled)
    assert isinstance(ctx.cause(), gort.Canceled)
    assert "-5" in str(ctx.cause())
    with pytest.raises(ValueError):
        Context.from_handle(0)
    with pytest.raises(TypeError):
        Context.from_handle("x")  # type: ignore[arg-type]


class Thing:
    """Something to refer to weakly."""


class Failure(Exception):
    """Likewise."""


def test_cycles_are_collected() -> None:
    def make() -> list[weakref.ref[Any]]:
        thing, error = Thing(), Failure()
        ctx = background.with_cancel().with_value("thing", thing).with_cancel()
        thing.ctx = ctx.with_value(thing, 1)  # type: ignore[attr-defined]
        thing.done = ctx.done  # type: ignore[attr-defined]
        error.ctx = ctx  # type: ignore[attr-defined]
        ctx.cancel(error)
        return [weakref.ref(thing), weakref.ref(error), weakref.ref(ctx)]

    refs = make()
    gc.collect()
    assert [ref() for ref in refs] == [None, None, None]


def test_a_long_chain_goes() -> None:
    ctx = background.with_cancel()
    for index in range(100_000):
        ctx = ctx.with_value(index, index)
    assert ctx.value(0) == 0
    del ctx
    gc.collect()


def test_references_are_as_before() -> None:
    key, value, cause = Thing(), Thing(), KeyError("cause")
    fn: Callable[..., None] = lambda *_, **__: None
    objects = [key, value, cause, fn, background]

    def use() -> None:
        ctx = background.with_timeout(LONG).with_value(key, value).with_cancel()
        assert ctx.value(key) is value
        ctx.value(value)
        stop = ctx.after_func(fn, value, key=key)
        ctx.without_cancel().with_value(key, value).after_func(fn, value)
        assert stop()
        ctx.done
        ctx.cancel(cause)
        assert ctx.cause() is cause
        ctx.err()
        with pytest.raises(TypeError):
            ctx.with_value(key)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            ctx.cancel(value)  # type: ignore[arg-type]
        with ctx.with_cancel():
            pass

    use()
    gc.collect()
    before = [sys.getrefcount(item) for item in objects]
    for _ in range(50):
        use()
    gc.collect()
    assert [sys.getrefcount(item) for item in objects] == before


def test_what_after_func_was_given_is_let_go_of() -> None:
    value = Thing()
    before = sys.getrefcount(value)
    ran = gort.Semaphore(0)
    ctx = background.with_cancel()
    ctx.after_func(lambda _: ran.release(), value)
    assert sys.getrefcount(value) == before + 1
    ctx.cancel()
    ran.acquire(timeout=LONG)
    until(lambda: sys.getrefcount(value) == before)
