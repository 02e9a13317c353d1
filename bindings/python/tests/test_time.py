"""sleep, after, timers, tickers. No test depends on something being quick."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from contextvars import ContextVar
from typing import Any

import pytest
from crew import PATIENCE, Crew, wait_until

import gort
from gort import Chan, Ticker, Timer, WouldBlock, after, select, sleep

needs_go = pytest.mark.skipif(not hasattr(gort, "go"), reason="no goroutines in this build")


def test_sleep_is_not_too_short(crew: Crew) -> None:
    ends = []

    def sleeper(seconds: float) -> None:
        start = time.monotonic()
        sleep(seconds)
        ends.append(time.monotonic() - start >= seconds)

    for seconds in [0.001, 0.02, 0.1, 1e-9]:
        crew.go(sleeper, seconds)
    sleeper(0.12)  # On the main thread, over several slices.
    crew.join()
    assert ends == [True] * 5
    for nothing in [0, -1, float("-inf"), -5.5]:
        sleep(nothing)
    with pytest.raises(ValueError):
        sleep(float("nan"))
    with pytest.raises(TypeError):
        sleep("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        sleep()  # type: ignore[call-arg]


def test_after() -> None:
    start = time.monotonic()
    ch = after(0.01)
    assert isinstance(ch, Chan)
    with pytest.raises(TimeoutError):
        after(1000).recv(timeout=0.001)
    with pytest.raises(WouldBlock):
        after(float("inf")).try_recv()
    due = ch.recv()
    assert start + 0.01 <= due + 1e-6 and due <= time.monotonic()
    with pytest.raises(WouldBlock):
        ch.try_recv()
    assert after(0).recv(timeout=PATIENCE) <= time.monotonic()
    assert isinstance(after(-1).recv(timeout=PATIENCE), float)
    with pytest.raises(ValueError):
        after(float("nan"))
    with pytest.raises(TypeError):
        after(None)  # type: ignore[arg-type]


def test_after_in_a_select(crew: Crew) -> None:
    ch = Chan[int]()
    index, due, ok = select(ch, after(0.005))
    assert (index, ok) == (1, True) and isinstance(due, float)
    assert select(ch, after(1000), default=True)[0] == -1
    crew.go(lambda: ch.send(1))
    assert select(ch, after(1000)) == (0, 1, True)


def test_a_timer_channel_is_for_receiving_only() -> None:
    for ch in [after(1000), Timer(1000).chan, Ticker(1000).chan]:
        assert ch is not None
        for call in [lambda: ch.send(1.0), lambda: ch.try_send(1.0), ch.close, lambda: select((ch, 1.0))]:
            with pytest.raises(TypeError):
                call()
        assert (len(ch), ch.cap) == (0, 0)


def test_timer() -> None:
    timer = Timer(0.001)
    assert timer.chan is not None and timer.chan is timer.chan
    timer.chan.recv(timeout=PATIENCE)
    assert timer.stop() is False
    assert timer.reset(1000) is False
    assert timer.reset(1000) is True
    assert timer.stop() is True
    assert timer.stop() is False
    assert timer.reset(0.001) is False
    timer.chan.recv(timeout=PATIENCE)
    timer.reset(0)
    time.sleep(0.01)
    timer.reset(1000)  # Whether it was due or not: no tick from before.
    with pytest.raises(WouldBlock):
        timer.chan.try_recv()
    with pytest.raises(TypeError):
        Timer()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Timer(1, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Timer(float("nan"))
    with pytest.raises(ValueError):
        timer.reset(float("nan"))


def test_a_timer_outlived_by_its_channel() -> None:
    ch = Timer(0.01).chan
    assert ch is not None
    gc.collect()
    assert ch.recv(timeout=PATIENCE) <= time.monotonic()


@needs_go
def test_a_timer_with_a_function() -> None:
    ch = Chan[Any](10)
    timer = Timer(0.001, lambda: ch.send("fired"))
    assert timer.chan is None
    assert ch.recv(timeout=PATIENCE) == "fired"
    assert timer.stop() is False
    assert timer.reset(0.001) is False
    assert ch.recv(timeout=PATIENCE) == "fired"
    assert timer.reset(1000) is False
    assert timer.reset(1000) is True
    assert timer.reset(0) is True
    assert ch.recv(timeout=PATIENCE) == "fired"
    timer.reset(1000)
    assert timer.stop() is True
    assert timer.stop() is False
    Timer(0.001, lambda: ch.send("nobody has me"))
    gc.collect()
    assert ch.recv(timeout=PATIENCE) == "nobody has me"
    assert len(ch) == 0


@needs_go
def test_a_function_of_a_timer_runs_in_the_context_of_its_maker() -> None:
    variable, ch = ContextVar("variable", default=0), Chan[int]()
    token = variable.set(42)
    Timer(0.001, lambda: ch.send(variable.get()))
    variable.reset(token)
    assert ch.recv(timeout=PATIENCE) == 42


@needs_go
def test_the_function_of_a_timer_is_let_go() -> None:
    class Function:
        def __call__(self) -> None:
            ch.send(1)

    ch, functions = Chan[int](10), [Function() for _ in range(4)]
    references = [weakref.ref(function) for function in functions]
    fired, stopped, dropped, again = (Timer(s, f) for s, f in zip([0.001, 1000, 0.001, 1000], functions))
    del dropped
    assert stopped.stop()
    for _ in range(5):
        again.reset(1000)
        again.stop()
    functions.clear()
    ch.recv(timeout=PATIENCE)
    ch.recv(timeout=PATIENCE)
    wait_until(lambda: gc.collect() >= 0 and references[2]() is None)
    assert all(references[i]() is not None for i in (0, 1, 3))
    fired.reset(0)
    ch.recv(timeout=PATIENCE)
    del fired, stopped, again
    wait_until(lambda: all(reference() is None for reference in references))


@needs_go
def test_a_timer_in_a_cycle_is_collected_when_it_is_not_armed() -> None:
    def make() -> Any:
        class Function:
            timer: Any = None

            def __call__(self) -> None:
                pass

        function = Function()
        function.timer = Timer(1000, function)
        return function

    function = make()
    reference = weakref.ref(function)
    function.timer.stop()
    del function
    gc.collect()
    assert reference() is None
    armed = make()
    reference = weakref.ref(armed)
    del armed
    gc.collect()
    held = reference()
    assert held is not None  # It will still be called.
    held.timer.stop()


def test_ticker() -> None:
    ticker = Ticker(0.001)
    ticks = [ticker.chan.recv(timeout=PATIENCE) for _ in range(5)]
    assert ticks == sorted(ticks) and len(set(ticks)) == 5
    assert ticker.stop() is None
    with pytest.raises(WouldBlock):
        ticker.chan.try_recv()
    ticker.reset(0.002)
    ticker.chan.recv(timeout=PATIENCE)
    for bad in [0, -1]:
        with pytest.raises(ValueError):
            Ticker(bad)
        with pytest.raises(ValueError):
            ticker.reset(bad)
    with pytest.raises(TypeError):
        Ticker()  # type: ignore[call-arg]


def test_iterating_over_a_ticker() -> None:
    count, last = 0, 0.0
    with Ticker(0.001) as ticker:
        for due in ticker:
            assert due > last
            last = due
            count += 1
            if count == 5:
                break
        assert next(ticker) > last
    assert list(ticker) == []
    with pytest.raises(StopIteration):
        next(ticker)
    ticker.reset(0.001)
    assert next(ticker) > last


def test_stopping_a_ticker_ends_who_iterates_over_it(crew: Crew) -> None:
    ticker, started = Ticker(1000), Chan[int](4)

    def iterate() -> None:
        started.send(1)
        assert list(ticker) == []

    for _ in range(4):
        crew.go(iterate)
    for _ in range(4):
        started.recv()
    time.sleep(0.01)
    ticker.stop()
    ticker.stop()
    crew.join()


def test_timers_go_away() -> None:
    for make in [lambda: Timer(1000), lambda: Ticker(1000), lambda: after(1000)]:
        thing = make()
        reference = weakref.ref(thing)
        chan = getattr(thing, "chan", None)
        count = sys.getrefcount(chan) if chan is not None else 0
        del thing
        assert reference() is None
        assert chan is None or sys.getrefcount(chan) == count - 1


def test_a_receive_on_a_timer_in_the_crew(crew: Crew) -> None:
    got = []
    for _ in range(20):
        crew.go(lambda: got.append(after(0.002).recv(timeout=PATIENCE)))
    ticker = Ticker(0.001)
    for _ in range(4):
        crew.go(lambda: [ticker.chan.recv() for _ in range(3)])
    crew.join()
    assert len(got) == 20


