"""Group: errgroup as a block."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Callable

import pytest

import gort
from gort import Chan, Context, Group
from starting import KINDS, LONG, Task, thread, until

Start = Callable[..., Task]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    """The block itself runs in a thread, or in a goroutine."""
    return KINDS[request.param]


def test_leaving_waits_for_all(start: Start) -> None:
    def use() -> list[int]:
        done: list[int] = []

        def work(index: int, *, pause: float) -> None:
            gort.sleep(pause)
            done.append(index)

        with Group() as g:
            for index in range(20):
                g.go(work, index, pause=0.001 * (index % 4))
            assert g.ctx.err() is None
        assert isinstance(g.ctx.err(), gort.Canceled)
        return sorted(done)

    assert start(use).join() == list(range(20))
    assert use() == list(range(20))


def test_the_first_exception_cancels_and_is_raised(start: Start) -> None:
    def use() -> None:
        seen: list[BaseException] = []

        def wait(ctx: Context) -> None:
            with pytest.raises(gort.Closed):
                ctx.done.recv(timeout=LONG)
            cause = ctx.cause()
            assert cause is not None
            seen.append(cause)
            raise cause

        def fail() -> None:
            raise KeyError("the first")

        with pytest.raises(KeyError, match="the first") as raised, Group() as g:
            for _ in range(5):
                g.go(wait, g.ctx)
            g.go(fail)
        assert seen == [raised.value] * 5
        # The traceback leads to where it was raised.
        names = [entry.name for entry in raised.traceback]
        assert "fail" in names

    start(use).join()
    use()


def test_an_exception_of_the_block_goes_on(start: Start) -> None:
    def use() -> None:
        ended = []

        def wait(ctx: Context) -> None:
            ctx.done.recv_ok(timeout=LONG)
            gort.sleep(0.01)
            ended.append(ctx.cause())

        error = ValueError("of the block")
        with pytest.raises(ValueError) as raised:
            with Group() as g:
                g.go(wait, g.ctx)
                raise error
        assert raised.value is error
        assert ended == [error]

    start(use).join()
    use()


def test_a_failure_that_ends_the_block_is_what_is_raised() -> None:
    """A goroutine fails, and the block notices: the failure counts."""

    def fail() -> None:
        raise KeyError("reason")

    with pytest.raises(KeyError, match="reason") as raised, Group() as g:
        g.go(fail)
        g.ctx.done.recv_ok(timeout=LONG)
        raise gort.Canceled("told to stop")
    assert isinstance(raised.value.__context__, gort.Canceled)


def test_limit(start: Start) -> None:
    def use() -> None:
        inside = most = 0
        mutex = gort.Mutex()

        def work() -> None:
            nonlocal inside, most
            with mutex:
                inside += 1
                most = max(most, inside)
            gort.sleep(0.001)
            with mutex:
                inside -= 1

        with Group(limit=3) as g:
            for _ in range(30):
                g.go(work)
        assert most == 3
        assert inside == 0

    start(use).join()
    use()


def test_try_go() -> None:
    gate = Chan[None]()
    with Group(limit=2) as g:
        assert g.try_go(gate.recv) is True
        assert g.try_go(gate.recv) is True
        assert g.try_go(gate.recv) is False
        gate.send(None)
        until(lambda: g.try_go(gate.recv))
        gate.send(None)
        gate.send(None)
    with Group(limit=0) as g:
        assert g.try_go(print) is False
    with Group() as g:
        assert g.try_go(int) is True
    with pytest.raises(ValueError):
        Group(limit=-1)


def test_the_parent_ends_it() -> None:
    parent = Context.background().with_value("k", "v").with_cancel()
    with Group(parent) as g:
        assert g.ctx.value("k") == "v"
        g.go(lambda: g.ctx.done.recv_ok(timeout=LONG))
        parent.cancel(error := KeyError())
    assert g.ctx.cause() is error
    assert parent.err() is not None


def test_wait_without_a_block() -> None:
    g = Group()
    g.go(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        g.wait()
    with pytest.raises(ZeroDivisionError):
        g.wait()


def test_what_cannot_be_called() -> None:
    with Group(limit=1) as g:
        for _ in range(3):
            with pytest.raises(TypeError):
                g.go(None)  # type: ignore[arg-type]
    g.wait()


def test_groups_in_groups() -> None:
    def level(depth: int) -> int:
        if depth == 0:
            return 1
        counts: list[int] = []
        with Group() as g:
            for _ in range(3):
                g.go(lambda: counts.append(level(depth - 1)))
        return sum(counts)

    assert level(4) == 81


def test_references_are_as_before() -> None:
    class Failure(Exception):
        pass

    thing = object()

    def fail(_: object) -> None:
        raise Failure

    def use() -> None:
        with Group() as g:
            g.go(id, thing)
        try:
            with Group(limit=2) as g:
                g.go(fail, thing)
                g.go(fail, thing)
        except Failure:
            pass

    use()
    gc.collect()
    before = sys.getrefcount(thing)
    for _ in range(20):
        use()
    until(lambda: gc.collect() is not None and sys.getrefcount(thing) == before)
    assert not [item for item in gc.get_objects() if isinstance(item, Failure)]


def test_ctrl_c_ends_the_wait_of_a_block() -> None:
    body = textwrap.dedent(
        """
        import gort, os
        group = gort.Group()
        try:
            with group as g:
                g.go(gort.Chan().recv)
                print("ready", flush=True)
        except KeyboardInterrupt:
            assert isinstance(g.ctx.cause(), KeyboardInterrupt)
            print("interrupted", flush=True)
            os._exit(7)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(LONG) == 7
    finally:
        child.kill()
        child.wait()
