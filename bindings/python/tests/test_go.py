"""go: goroutines start, run in turn, and do not hold each other up."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import time
import weakref

import gort
import pytest
from helpers import wait_for


def test_arguments_are_evaluated_now_and_kept() -> None:
    seen: list[object] = []

    def note(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    def main() -> None:
        value = [1]
        gort.go(note, value, 2, key="word", other=None)
        value.append(3)
        del value
        gort.go(note)
        wait_for(lambda: len(seen) == 2)

    gort.run(main)
    assert seen == [(([1, 3], 2), {"key": "word", "other": None}), ((), {})]


def test_go_returns_none_and_needs_a_callable() -> None:
    assert gort.go(lambda: 1) is None  # type: ignore[func-returns-value]
    with pytest.raises(TypeError):
        gort.go(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        gort.go()  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", ["method", "partial", "builtin", "class", "callable object"])
def test_anything_that_can_be_called(kind: str) -> None:
    seen: list[object] = []

    class Thing:
        def __init__(self, value: object) -> None:
            seen.append(value)

        def __call__(self, value: object) -> None:
            seen.append(value)

        def method(self, value: object) -> None:
            seen.append(value)

    thing = Thing(0)
    seen.clear()
    callables = {
        "method": thing.method,
        "partial": functools.partial(thing.method),
        "builtin": seen.append,
        "class": Thing,
        "callable object": thing,
    }
    gort.go(callables[kind], 7)
    wait_for(lambda: seen == [7])


def test_goroutines_take_turns() -> None:
    """With nothing but gosched() between them, two goroutines alternate: the lane's queue is first in, first out."""
    steps: list[str] = []

    def walk(name: str) -> None:
        for _ in range(3):
            steps.append(name)
            gort.gosched()

    def main() -> None:
        gort.go(walk, "a")
        gort.go(walk, "b")
        wait_for(lambda: len(steps) == 6)

    gort.run(main)
    assert steps == ["a", "b"] * 3


def test_many_goroutines() -> None:
    count = 20_000
    ended: list[int] = []

    def main() -> None:
        for number in range(count):
            gort.go(ended.append, number)
        wait_for(lambda: len(ended) == count)

    gort.run(main)
    assert sorted(ended) == list(range(count))


def test_sleepers_wake_in_order() -> None:
    woken: list[int] = []

    def sleeper(number: int) -> None:
        gort.sleep(0.05 * number)
        woken.append(number)

    for number in (3, 1, 2):
        gort.go(sleeper, number)
    wait_for(lambda: len(woken) == 3)
    assert sorted(woken) == [1, 2, 3]


def test_sleep_arguments() -> None:
    gort.sleep(0)
    gort.sleep(-1)
    gort.sleep(seconds=0.001)
    with pytest.raises(ValueError):
        gort.sleep(float("nan"))
    with pytest.raises(TypeError):
        gort.sleep("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        gort.sleep()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        gort.sleep(0, second=1)  # type: ignore[call-arg]


def test_calls_that_release_the_gil_overlap() -> None:
    """64 goroutines in time.sleep, which knows nothing of gort, sleep at the same time."""
    ended: list[float] = []

    def sleeper() -> None:
        time.sleep(0.5)
        ended.append(time.monotonic())

    start = time.monotonic()
    for _ in range(64):
        gort.go(sleeper)
    wait_for(lambda: len(ended) == 64)
    # One after the other they would take 32 s.
    assert max(ended) - start < 16


def test_a_goroutine_that_computes_does_not_stop_the_others() -> None:
    stop = False

    def hog() -> None:
        while not stop:
            pass

    ran: list[int] = []
    gort.go(hog)
    for number in range(10):
        gort.go(ran.append, number)
    wait_for(lambda: len(ran) == 10)
    stop = True
    wait_for(lambda: gort.num_goroutines() == 0)


def test_a_blocked_lock_does_not_stop_the_others() -> None:
    """threading.Lock blocks the OS thread; another takes the goroutine that releases it."""
    lock = threading.Lock()
    lock.acquire()
    got: list[bool] = []

    def taker() -> None:
        with lock:
            got.append(True)

    for _ in range(3):
        gort.go(taker)
    gort.go(lock.release)
    wait_for(lambda: len(got) == 3)


def test_what_a_goroutine_held_is_freed() -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    done: list[int] = []

    def holder(_: Thing) -> None:
        local = _
        done.append(id(local))

    gort.go(holder, thing)
    wait_for(lambda: len(done) == 1)
    del thing
    wait_for(lambda: gone() is None)


def test_no_reference_is_leaked() -> None:
    marker = object()
    ended: list[int] = []

    def nothing(value: object, *, key: object) -> None:
        ended.append(1)

    before = sys.getrefcount(marker)
    for _ in range(1000):
        gort.go(nothing, marker, key=marker)
    wait_for(lambda: gort.num_goroutines() == 0)
    gc.collect()
    assert sys.getrefcount(marker) == before


def test_threads_and_goroutines_together() -> None:
    """Threads start goroutines while the lane runs others."""
    ended: list[int] = []

    def starter() -> None:
        for _ in range(200):
            gort.go(ended.append, 1)
            gort.gosched()

    threads = [threading.Thread(target=starter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(ended) == 800)


def test_numbers() -> None:
    assert gort.num_cpu() >= 1
    before = gort.max_procs()
    assert before >= 1
    assert gort.max_procs(3) == before
    assert gort.max_procs(before) == 3
    with pytest.raises(ValueError):
        gort.max_procs(0)
    stop = False

    def waiter() -> None:
        while not stop:
            gort.sleep(0.001)

    wait_for(lambda: gort.num_goroutines() == 0)
    for _ in range(5):
        gort.go(waiter)
    assert gort.num_goroutines() == 5
    stop = True
    wait_for(lambda: gort.num_goroutines() == 0)
