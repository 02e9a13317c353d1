"""Channels in event loops: asyncio's own, uvloop's, anyio on top. What a cancelled task was given is not lost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import weakref
from typing import Any, Awaitable, Callable, Coroutine

import pytest
from crew import PATIENCE, Crew, parked, wait_until, waiters

from gort import Chan, Closed, after
from gort._aio import aselect

try:
    import uvloop
except ImportError:
    uvloop = None

try:
    import anyio
except ImportError:
    anyio = None

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    LOOPS["uvloop"] = uvloop.new_event_loop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Thing:
    """An object of which one can see whether it is still there."""


@pytest.fixture(params=LOOPS)
def run(request: Any) -> Run:
    """As asyncio.run, with each kind of loop."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        loop = LOOPS[request.param]()
        try:
            return loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run


async def parked_in(ch: Chan[Any], count: int) -> None:
    """Wait, in the loop, until so many wait in the channel."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while waiters(ch) != count:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0)


# ---------------------------------------------------------------------------------------------- send and receive


def test_what_is_ready_does_not_wait(run: Run) -> None:
    async def main() -> None:
        ch = Chan[int](2)
        await ch.asend(1)
        await ch.tx.asend(2)
        assert [await ch.arecv(), await ch.rx.arecv()] == [1, 2]
        await ch.asend(3)
        ch.close()
        assert [value async for value in ch] == [3]
        assert [value async for value in ch.rx] == []
        with pytest.raises(Closed):
            await ch.arecv()
        with pytest.raises(Closed):
            await ch.asend(1)

    run(main())


def test_tasks_of_one_loop(run: Run) -> None:
    async def main() -> None:
        for cap in [0, 1, 10]:
            ch = Chan[int](cap)

            async def sender() -> None:
                for i in range(300):
                    await ch.asend(i)
                ch.close()

            task = asyncio.ensure_future(sender())
            assert [value async for value in ch] == list(range(300))
            await task

    run(main())


@pytest.mark.parametrize("cap", [0, 3])
def test_the_crew_sends_and_the_loop_receives(run: Run, crew: Crew, cap: int) -> None:
    ch = Chan[tuple[int, int]](cap)
    lock, left = threading.Lock(), [3]

    def sender(number: int) -> None:
        for i in range(300):
            ch.send((number, i))
        with lock:
            left[0] -= 1
            if left[0]:
                return
        ch.close()

    async def receiver() -> list[tuple[int, int]]:
        return [value async for value in ch]

    async def main() -> None:
        for number in range(3):
            crew.go(sender, number)
        heads = await asyncio.gather(*[receiver() for _ in range(4)])
        assert sorted(value for head in heads for value in head) == [(s, i) for s in range(3) for i in range(300)]
        for head in heads:
            for number in range(3):
                order = [i for s, i in head if s == number]
                assert order == sorted(order)

    run(main())


@pytest.mark.parametrize("cap", [0, 3])
def test_the_loop_sends_and_the_crew_receives(run: Run, crew: Crew, cap: int) -> None:
    ch, heads = Chan[int](cap), [[] for _ in range(3)]  # type: ignore[var-annotated]

    async def sender(numbers: range) -> None:
        for i in numbers:
            await ch.asend(i)

    async def main() -> None:
        for head in heads:
            crew.go(lambda head=head: head.extend(ch))
        await asyncio.gather(*[sender(range(s * 300, s * 300 + 300)) for s in range(3)])
        ch.close()

    run(main())
    crew.join()
    assert sorted(value for head in heads for value in head) == list(range(900))


def test_a_task_waits_in_line_with_the_others(run: Run, crew: Crew) -> None:
    ch, order = Chan[int](), []

    async def task(number: int) -> None:
        order.append((number, await ch.arecv()))

    async def main() -> None:
        tasks = []
        for number in range(6):
            if number % 2:
                crew.go(lambda number=number: order.append((number, ch.recv())))
            else:
                tasks.append(asyncio.ensure_future(task(number)))
            await parked_in(ch, number + 1)
        for value in range(6):
            ch.try_send(value)
        await asyncio.gather(*tasks)

    run(main())
    crew.join()
    assert sorted(order) == [(i, i) for i in range(6)]


def test_a_close_wakes_tasks(run: Run) -> None:
    async def main() -> None:
        ch, full = Chan[int](), Chan[int](1)
        full.send(0)
        tasks = [asyncio.ensure_future(ch.arecv()) for _ in range(3)]
        tasks += [asyncio.ensure_future(full.asend(1)) for _ in range(3)]
        await parked_in(ch, 3)
        await parked_in(full, 3)
        ch.close()
        full.close()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [Closed] * 6
        assert [value async for value in full] == [0]

    run(main())


def test_timers_in_a_loop(run: Run) -> None:
    async def main() -> None:
        due = await asyncio.gather(*[after(0.001 * i).arecv() for i in range(10)])
        assert due == sorted(due)

    run(main())


def test_aselect(run: Run, crew: Crew) -> None:
    a, b, full = Chan[int](), Chan[str](), Chan[int](1)
    full.send(0)

    async def main() -> None:
        for _ in range(20):
            crew.go(a.send, 1)
            assert await aselect(a, b, None, (full, 1)) == (0, 1, True)
            crew.go(b.send, "x")
            assert await aselect(a, b.rx) == (1, "x", True)
            crew.go(full.recv)
            assert await aselect(a, full.on_send(7), b) == (1, None, True)
        index, due, ok = await aselect(a, after(0.001))
        assert (index, ok) == (1, True)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aselect(None), 0.001)
        with pytest.raises(TypeError):
            await aselect(a, 5)  # type: ignore[arg-type]
        a.close()
        assert await aselect(b, a) == (1, None, False)

    run(main())
    assert waiters(b) == waiters(full) == 0


def test_loops_in_several_threads() -> None:
    """Tasks of different loops, of both kinds, meet in one channel."""
    there, back = Chan[int](), Chan[int](2)

    async def echo() -> None:
        async for value in there:
            await back.asend(value)

    async def many() -> None:
        await asyncio.gather(*[echo() for _ in range(5)])

    people = Crew("thread")

    def thread(new: Callable[[], asyncio.AbstractEventLoop]) -> None:
        loop = new()
        loop.run_until_complete(many())
        loop.close()

    for _ in range(2):
        for new in LOOPS.values():
            people.go(thread, new)

    async def main() -> list[int]:
        async def sender() -> None:
            for i in range(1000):
                await there.asend(i)
            there.close()

        task = asyncio.ensure_future(sender())
        values = [await back.arecv() for _ in range(1000)]
        await task
        return values

    assert sorted(asyncio.run(main())) == list(range(1000))
    people.join()


def test_a_task_and_a_wait_in_the_same_thread(run: Run) -> None:
    """The value comes while the loop does not run."""

    async def main() -> None:
        ch = Chan[int]()
        task = asyncio.ensure_future(ch.arecv())
        await parked_in(ch, 1)
        ch.send(5, timeout=0)
        assert not task.done()
        assert await task == 5

    run(main())


# -------------------------------------------------------------------------------------------------- cancellation


def test_a_cancelled_task_has_taken_and_sent_nothing(run: Run) -> None:
    async def main() -> None:
        ch, full = Chan[Any](), Chan[Any](1)
        full.send(0)
        value = Thing()
        before = sys.getrefcount(value)
        tasks = [asyncio.ensure_future(ch.arecv()), asyncio.ensure_future(full.asend(value))]
        await parked_in(ch, 1)
        await parked_in(full, 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert waiters(ch) == waiters(full) == 0
        del tasks, task
        await asyncio.sleep(0)  # The loop lets go of its own references.
        gc.collect()
        assert sys.getrefcount(value) == before
        assert full.recv() == 0 and len(full) == 0
        other = asyncio.ensure_future(ch.arecv())
        await parked_in(ch, 1)
        ch.try_send("next")
        assert await other == "next"

    run(main())


def test_a_cancellation_that_comes_too_late_loses_nothing(run: Run) -> None:
    """The value is there, the task has not seen it yet, and is cancelled: it gets the value, then the cancellation."""

    async def main() -> None:
        ch, log = Chan[int](), []

        async def receiver() -> None:
            log.append(await ch.arecv())
            log.append("went on")
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = asyncio.ensure_future(receiver())
        await parked_in(ch, 1)
        ch.try_send(7)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == [7, "went on", "cancelled"]

        async def sender() -> None:
            await ch.asend(8)
            log.append("sent")
            await asyncio.sleep(1000)

        log.clear()
        task = asyncio.ensure_future(sender())
        await parked_in(ch, 1)
        assert ch.try_recv() == 8
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["sent"]

        # One that does not await any more is simply done.
        task = asyncio.ensure_future(ch.arecv())
        await parked_in(ch, 1)
        ch.try_send(9)
        task.cancel()
        assert await task == 9
        await asyncio.sleep(0)

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of 3.11")
def test_a_timeout_that_comes_too_late_cancels_nothing_else(run: Run) -> None:
    async def main() -> None:
        ch = Chan[int]()

        async def receiver() -> str:
            async with asyncio.timeout(1000) as scope:
                reached.append(scope)
                assert await ch.arecv() == 7
            # The block has ended with its value: what follows is not cancelled.
            for _ in range(10):
                await asyncio.sleep(0.001)
            return "whole"

        reached: list[asyncio.Timeout] = []
        task = asyncio.ensure_future(receiver())
        await parked_in(ch, 1)
        ch.try_send(7)
        # The timeout's own way of cancelling, at the worst moment.
        reached[0].reschedule(0)
        assert await task == "whole"

        # Still, whoever cancels the task itself does so.
        task = asyncio.ensure_future(receiver())
        await parked_in(ch, 1)
        ch.try_send(7)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_wait_for_loses_nothing(run: Run, crew: Crew) -> None:
    """Timeouts and values race; every value arrives exactly once."""
    ch, count = Chan[int](), 600

    def sender() -> None:
        for i in range(count):
            ch.send(i)
            if i % 7 == 0:
                threading.Event().wait(0.0003)
        ch.close()

    async def receiver(head: list[int]) -> None:
        while True:
            try:
                head.append(await asyncio.wait_for(ch.arecv(), random.random() * 0.001))
            except asyncio.TimeoutError:
                pass
            except Closed:
                return

    async def main() -> None:
        heads: list[list[int]] = [[] for _ in range(3)]
        crew.go(sender)
        await asyncio.gather(*[receiver(head) for head in heads])
        assert sorted(value for head in heads for value in head) == list(range(count))

    run(main())
    assert waiters(ch) == 0


def test_cancelled_tasks_lose_nothing(run: Run, crew: Crew) -> None:
    ch, back, count = Chan[int](), Chan[int](), 500
    crew.go(lambda: [ch.send(i) for i in range(count)])
    returned: list[int] = []
    crew.go(lambda: returned.extend(back))

    async def main() -> None:
        received: list[int] = []
        sent = 0
        while len(received) < count:
            tasks = [asyncio.ensure_future(ch.arecv()) for _ in range(3)]
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            for end in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(end, asyncio.CancelledError):
                    received.append(end)  # type: ignore[arg-type]
        assert sorted(received) == list(range(count))
        while sent < count:
            task = asyncio.ensure_future(back.asend(sent))
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
                sent += 1
            except asyncio.CancelledError:
                pass
        back.close()

    run(main())
    crew.join()
    assert returned == list(range(count))


@pytest.mark.skipif(anyio is None, reason="anyio is not installed")
def test_anyio() -> None:
    ch, heads = Chan[int](), [[] for _ in range(3)]  # type: ignore[var-annotated]
    people = Crew("thread")

    async def receiver(head: list[int]) -> None:
        while True:
            with anyio.move_on_after(random.random() * 0.001):
                async for value in ch:
                    head.append(value)
                return

    async def main() -> None:
        people.go(lambda: ([ch.send(i) for i in range(300)], ch.close()))
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for head in heads:
                    group.start_soon(receiver, head)

    for name in LOOPS:
        ch = Chan[int]()
        for head in heads:
            head.clear()
        anyio.run(main, backend="asyncio", backend_options={"use_uvloop": name == "uvloop"})
        people.join()
        assert sorted(value for head in heads for value in head) == list(range(300))


# ------------------------------------------------------------------------------------------------ what is left


def test_references_are_exact(run: Run, crew: Crew) -> None:
    value, ch, full = Thing(), Chan[Any](), Chan[Any](1)
    before = sys.getrefcount(value)
    crew.go(lambda: [ch.recv() for _ in range(50)])

    async def main() -> None:
        for _ in range(50):
            await ch.asend(value)
        for _ in range(50):
            await full.asend(value)
            assert await full.arecv() is value
        task = asyncio.ensure_future(ch.arecv())
        await parked_in(ch, 1)
        ch.try_send(value)
        assert await task is value

    run(main())
    crew.join()
    gc.collect()
    assert sys.getrefcount(value) == before


def test_a_coroutine_that_is_closed_gives_up(run: Run) -> None:
    async def main() -> None:
        ch, full, value = Chan[Any](), Chan[Any](1), Thing()
        full.send(0)
        before = sys.getrefcount(value)
        for coroutine, where in [(ch.arecv(), ch), (full.asend(value), full), (ch.asend(value), ch)]:
            coroutine.send(None)
            assert waiters(where) == 1
            coroutine.close()
            assert waiters(where) == 0
        del coroutine
        assert sys.getrefcount(value) == before

    run(main())


def test_a_task_that_nobody_can_wake_is_collected() -> None:
    """The channel keeps who waits in it alive, and nobody else does: as with asyncio.Queue."""

    async def main() -> None:
        def start() -> tuple[Any, Any]:
            ch = Chan[Any]()
            task = asyncio.ensure_future(ch.arecv())
            return weakref.ref(ch), weakref.ref(task)

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        references = [start() for _ in range(10)]
        await asyncio.sleep(0.01)
        gc.collect()
        assert all(ch() is None and task() is None for ch, task in references)

        ch, done = Chan[int](), []

        async def receiver() -> None:
            done.append(await ch.arecv())

        asyncio.ensure_future(receiver())
        await asyncio.sleep(0.01)
        for _ in range(3):
            gc.collect()
        ch.try_send(1)
        while not done:
            await asyncio.sleep(0)

    asyncio.run(main())


def test_loops_leave_nothing_behind(run: Run) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        ch = Chan[int]()
        task = asyncio.ensure_future(ch.arecv())
        pending.append(asyncio.ensure_future(ch.arecv()))
        await parked_in(ch, 2)
        ch.try_send(1)
        assert await task == 1

    pending: list[Any] = []
    for _ in range(3):
        run(main())
    pending.clear()
    gc.collect()
    before = descriptors()
    for _ in range(20):
        run(main())
    pending.clear()
    gc.collect()
    wait_until(lambda: gc.collect() >= 0 and descriptors() <= before)


@pytest.mark.parametrize("shared", [False, True])
def test_a_value_for_a_loop_that_has_ended(shared: bool) -> None:
    """A task was left waiting, and is still in line: what it is given goes away with the task."""
    ch, tasks = Chan[Any](), []

    async def main() -> None:
        tasks.append(asyncio.ensure_future(ch.arecv()))
        await asyncio.sleep(0.01)

    if shared:
        assert ch.handle
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(main())
    loop.close()
    value = Thing()
    reference = weakref.ref(value)
    ch.try_send(value)
    del value
    assert reference() is not None
    tasks.clear()
    del loop, ch, main
    gc.collect()
    assert reference() is None


def test_what_others_can_wake_is_not_collected() -> None:
    async def main() -> None:
        done = []

        async def receiver(ch: Chan[Any]) -> None:
            done.append(await ch.arecv())

        def start() -> None:
            asyncio.ensure_future(receiver(after(0.02)))
            ch = Chan[int](1)
            others.append(Chan[int].from_handle(ch.handle))
            asyncio.ensure_future(receiver(ch))

        others: list[Chan[int]] = []
        start()
        for _ in range(3):
            await asyncio.sleep(0)
            gc.collect()
        others[0].send(1)
        while len(done) < 2:
            await asyncio.sleep(0.001)
        assert 1 in done

    asyncio.run(main())


def test_the_collector_and_tasks_agree(run: Run, crew: Crew) -> None:
    class Node:
        def __init__(self, number: int) -> None:
            self.me, self.text = self, str(number)

    ch, stop = Chan[Any](2), []
    collectors = Crew("thread")
    collectors.go(lambda: [gc.collect() for _ in iter(lambda: bool(stop), True)])
    crew.go(lambda: ([ch.send(Node(i)) for i in range(500)], ch.close()))

    async def receiver() -> int:
        count = 0
        async for node in ch:
            assert node.me is node and node.text
            count += 1
        return count

    async def main() -> None:
        assert sum(await asyncio.gather(*[receiver() for _ in range(3)])) == 500

    run(main())
    stop.append(1)
    collectors.join()


def test_outside_of_a_loop() -> None:
    ch = Chan[int]()
    coroutine: Awaitable[int] = ch.arecv()
    with pytest.raises(RuntimeError):
        coroutine.__await__().send(None)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError):
        ch.asend(1).send(None)
    assert waiters(ch) == 0
    parked(ch, 0)
