"""Executor: concurrent.futures on goroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import time
from typing import Any, Callable

import pytest

import gort
from gort import Chan, Executor
from starting import KINDS, LONG, Task, until

Start = Callable[..., Task]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    """Who uses the executor is a thread, or a goroutine."""
    return KINDS[request.param]


def test_results_and_exceptions(start: Start) -> None:
    def use() -> None:
        with Executor() as executor:
            assert isinstance(executor, concurrent.futures.Executor)
            future = executor.submit(pow, 2, 10)
            assert isinstance(future, concurrent.futures.Future)
            assert future.result(LONG) == 1024
            assert executor.submit(int, "ff", base=16).result() == 255
            failed = executor.submit(int, "x")
            with pytest.raises(ValueError):
                failed.result(LONG)
            assert isinstance(failed.exception(), ValueError)
            assert executor.submit(gort._gort.in_goroutine).result() is True

    start(use).join()
    use()


def test_map(start: Start) -> None:
    def use() -> None:
        with Executor(max_workers=3) as executor:
            assert list(executor.map(lambda x, y: x * y, range(50), range(50))) == [n * n for n in range(50)]
            with pytest.raises(ZeroDivisionError):
                list(executor.map(lambda n: 1 // n, [1, 0, 1]))

    start(use).join()
    use()


def test_max_workers() -> None:
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

    with Executor(max_workers=3) as executor:
        for future in [executor.submit(work) for _ in range(30)]:
            future.result(LONG)
    assert most == 3
    for bad in (0, -1):
        with pytest.raises(ValueError):
            Executor(bad)


def test_without_a_limit_all_run_at_once() -> None:
    meeting = gort.WaitGroup()
    meeting.add(200)

    def meet() -> None:
        meeting.done()
        meeting.wait(LONG)

    with Executor() as executor:
        for future in [executor.submit(meet) for _ in range(200)]:
            future.result(LONG)


def test_waiting_for_a_future_parks(start: Start) -> None:
    """Goroutines wait for futures of others, one for the next, without a thread each."""
    count = 300
    with Executor() as executor:
        futures: list[concurrent.futures.Future[int]] = []
        gate = Chan[int](1)

        def work(index: int) -> int:
            return gate.recv() if index == 0 else futures[index - 1].result(LONG) + 1

        for index in range(count):
            futures.append(executor.submit(work, index))
        until(lambda: futures[-1].running())
        gort.sleep(0.05)
        threads = gort.stats().threads
        gate.send(0)
        assert futures[-1].result(LONG) == count - 1
    assert threads < 100


def test_timeouts_and_callbacks(start: Start) -> None:
    def use() -> None:
        gate = Chan[str](1)
        seen: list[object] = []
        with Executor() as executor:
            future = executor.submit(gate.recv)
            for timeout in (0, 0.01):
                with pytest.raises(concurrent.futures.TimeoutError):
                    future.result(timeout)
            future.add_done_callback(seen.append)
            gate.send("v")
            assert future.result(LONG) == "v"
            until(lambda: seen)
            assert seen == [future]

    start(use).join()
    use()


def test_wait_and_as_completed(start: Start) -> None:
    def use() -> None:
        with Executor() as executor:
            gates = [Chan[int](1) for _ in range(4)]
            futures = [executor.submit(gate.recv) for gate in gates]
            gates[2].send(2)
            first = next(concurrent.futures.as_completed(futures, LONG))
            assert first is futures[2]
            done, pending = concurrent.futures.wait(futures, LONG, concurrent.futures.FIRST_COMPLETED)
            assert done == {futures[2]}
            for index in (0, 1, 3):
                gates[index].send(index)
            done, pending = concurrent.futures.wait(futures, LONG)
            assert not pending
            assert sorted(future.result() for future in done) == [0, 1, 2, 3]

    start(use).join()
    use()


def test_cancel_and_shutdown() -> None:
    gate = Chan[int](1)
    executor = Executor(max_workers=1)
    running = executor.submit(gate.recv)
    waiting = [executor.submit(print) for _ in range(3)]
    assert waiting[0].cancel()
    assert waiting[0].cancelled()
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    with pytest.raises(RuntimeError):
        executor.submit(print)
    assert not running.done()
    gate.send(5)
    executor.shutdown()
    assert running.result() == 5
    executor.shutdown()


def test_shutdown_runs_what_was_accepted() -> None:
    done: list[int] = []
    executor = Executor(max_workers=2)
    for index in range(20):
        executor.submit(lambda index=index: (gort.sleep(0.001), done.append(index)))
    executor.shutdown()
    assert sorted(done) == list(range(20))


def test_in_an_event_loop() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with Executor() as executor:
            return list(await asyncio.gather(*(loop.run_in_executor(executor, pow, n, 2) for n in range(50))))

    assert asyncio.run(main()) == [n * n for n in range(50)]


def test_references_are_as_before() -> None:
    thing = object()

    def fail(_: object) -> None:
        raise KeyError

    def use() -> None:
        with Executor(2) as executor:
            executor.submit(id, thing).result()
            assert executor.submit(fail, thing).exception() is not None

    use()
    gc.collect()
    before = sys.getrefcount(thing)
    for _ in range(20):
        use()
    until(lambda: gc.collect() is not None and sys.getrefcount(thing) == before)
