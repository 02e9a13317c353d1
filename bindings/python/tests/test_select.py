"""select: what counts as a case, what is chosen, and that exactly one case is carried out."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import pytest
from crew import Crew, parked, wait_until, waiters

import gort
from gort import Case, Chan, Closed, WouldBlock, select


class Thing:
    """An object of which one can see whether it is still there."""


# --------------------------------------------------------------------------------------------------------- cases


def test_all_ways_to_say_receive() -> None:
    ch = Chan[int](1)
    for case in [ch, ch.rx, ch.on_recv(), ch.rx.on_recv()]:
        ch.send(5)
        assert select(case) == (0, 5, True)
        assert select(None, case, default=True) == (-1, None, False)


def test_all_ways_to_say_send() -> None:
    ch = Chan[int](1)
    for case in [(ch, 6), (ch.tx, 6), ch.on_send(6), ch.tx.on_send(6)]:
        assert select(case) == (0, None, True)
        assert select(case, default=True) == (-1, None, False)
        assert ch.recv() == 6


def test_none_is_never_ready() -> None:
    ch = Chan[int](1)
    ch.send(1)
    assert select(None, (None, 2), ch) == (2, 1, True)
    assert select(default=True) == select(None, default=True) == select((None, 1), default=True) == (-1, None, False)
    for cases in [(), (None,), ((None, 1),)]:
        with pytest.raises(TimeoutError):
            select(*cases, timeout=0.001)


def test_what_is_no_case() -> None:
    ch = Chan[int](3)
    for wrong in [1, "ch", (ch,), (ch, 1, 2), (1, 2), [ch, 1], (ch.rx, 1), ch.tx, (ch.on_send(1), 1), object(), Chan]:
        with pytest.raises(TypeError, match="case 1 of a select"):
            select((ch, 1), wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="case 0 of a select"):
            select(wrong, ch, default=True)  # type: ignore[arg-type]
    assert len(ch) == 0
    with pytest.raises(TypeError):
        select(ch, tiemout=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        select(ch, timeout="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        select(ch, timeout=float("nan"))
    with pytest.raises(ValueError):
        select(ch, default=True, timeout=1)
    with pytest.raises(TypeError):
        Case()
    with pytest.raises(ValueError):
        select(*[ch] * 65537, default=True)
    assert select(ch, default=True, timeout=None) == (-1, None, False)
    assert repr(ch.on_recv()).endswith(".on_recv()") and repr(ch.on_send("x")).endswith(".on_send('x')")


def test_closed_channels_are_ready() -> None:
    ch = Chan[int](2)
    ch.send(1)
    ch.close()
    assert select(ch) == (0, 1, True)
    for _ in range(3):
        assert select(None, ch) == select(None, ch, default=True) == select(None, ch, timeout=0) == (1, None, False)
        for kwargs in [{}, {"default": True}, {"timeout": 5}]:
            with pytest.raises(Closed):
                select((ch, 2), **kwargs)  # type: ignore[call-overload]


def test_plain_elements_in_cases(crew: Crew) -> None:
    ints, blocks = Chan(1, elem=int), Chan(1, elem=8)
    assert select((ints, 7), blocks) == (0, None, True)
    assert select(ints, blocks) == (0, 7, True)
    assert select(ints, (blocks, b"12345678")) == (1, None, True)
    assert select(ints, blocks) == (1, b"12345678", True)
    with pytest.raises(OverflowError):
        select(blocks, (ints, 2**63))
    with pytest.raises(ValueError):
        select(ints, (blocks, b"1"))
    with pytest.raises(TimeoutError):
        select(ints, blocks, timeout=0.001)
    crew.go(lambda: [select((ints, i), blocks) for i in range(50)])
    assert [select(blocks, ints)[1] for _ in range(50)] == list(range(50))


# ------------------------------------------------------------------------------------------- what is carried out


@pytest.mark.parametrize("count", [1, 2, 8, 9, 100, 1000])
def test_exactly_one_case_is_carried_out(count: int) -> None:
    chans = [Chan[int](1) for _ in range(count)]
    assert select(*chans, default=True)[0] == -1
    for number, ch in enumerate(chans):
        ch.send(number)
    seen = set()
    for left in range(count, 0, -1):
        assert sum(map(len, chans)) == left
        index, value, ok = select(*chans)
        assert index == value and ok
        seen.add(index)
    assert seen == set(range(count))
    for left in range(count):
        index, value, ok = select(*[(ch, -1) for ch in chans])
        assert (value, ok) == (None, True)
        assert sum(map(len, chans)) == left + 1


def test_among_ready_cases_all_are_chosen() -> None:
    full, empty = Chan[int](1), Chan[int](1)
    full.send(0)
    counts = [0, 0, 0, 0]
    for _ in range(4000):
        index, _, _ = select(full, (empty, 1), full.on_recv(), empty.on_send(2))
        counts[index] += 1
        if index in (0, 2):
            full.send(0)
        else:
            empty.recv()
    assert sum(counts) == 4000
    # A fair choice is further away from 1000 than that once in 10^20 runs.
    assert all(abs(count - 1000) < 270 for count in counts), counts


def test_one_channel_in_both_directions() -> None:
    ch = Chan[int](1)
    assert select(ch, (ch, 1)) == (1, None, True)
    assert select(ch, (ch, 2)) == (0, 1, True)
    rendezvous = Chan[int]()
    # A select never meets itself.
    assert select(rendezvous, (rendezvous, 1), default=True) == (-1, None, False)
    with pytest.raises(TimeoutError):
        select(rendezvous, (rendezvous, 1), timeout=0.01)


def test_a_select_waits(crew: Crew) -> None:
    a, b, got = Chan[int](), Chan[str](), []

    def chooser() -> None:
        for _ in range(3):
            got.append(select(a, b, (None, 1)))
        got.append(select(a, (b, "sent")))

    crew.go(chooser)
    for send in [lambda: a.send(1), lambda: b.send("x"), lambda: a.send(2)]:
        parked(a, 1)
        send()
    assert b.recv() == "sent"
    crew.join()
    assert got == [(0, 1, True), (1, "x", True), (0, 2, True), (1, None, True)]
    assert waiters(a) == waiters(b) == 0


def test_a_close_wakes_a_select(crew: Crew) -> None:
    a, b, got = Chan[int](), Chan[int](), []
    for _ in range(4):
        crew.go(lambda: got.append(select(b, a)))
    parked(a, 4)
    a.close()
    crew.join()
    assert got == [(1, None, False)] * 4

    full = Chan[int](1)
    full.send(1)

    def sender() -> None:
        with pytest.raises(Closed):
            select(b, (full, 2))
        got.append(1)

    got.clear()
    for _ in range(4):
        crew.go(sender)
    parked(full, 4)
    full.close()
    crew.join()
    assert got == [1] * 4
    assert list(full) == [1]


def test_timeouts(crew: Crew) -> None:
    a, b = Chan[int](), Chan[int]()
    for timeout in [0, -1, 0.001]:
        with pytest.raises(TimeoutError):
            select(a, (b, 1), timeout=timeout)
    assert waiters(a) == waiters(b) == 0
    got: list[Any] = []
    crew.go(lambda: got.append(select(a, b, timeout=1000)))
    parked(a, 1)
    b.send(3)
    crew.join()
    assert got == [(1, 3, True)]

    def late() -> None:
        with pytest.raises(TimeoutError):
            select(a, b, timeout=0.01)
        got.append("late")

    crew.go(late)
    crew.join()
    assert got[-1] == "late"


@pytest.mark.parametrize("cap", [0, 3])
def test_many_selects_at_once_lose_and_invent_nothing(crew: Crew, cap: int) -> None:
    chans = [Chan[tuple[int, int]](cap) for _ in range(3)]
    stop, heads = Chan[None](), [[] for _ in range(4)]  # type: ignore[var-annotated]

    def sender(number: int) -> None:
        for i in range(400):
            select(*[(ch, (number, i)) for ch in chans])

    def receiver(head: list[Any]) -> None:
        while True:
            index, value, ok = select(*chans, stop)
            if index == 3:
                return
            head.append(value)

    def by_turns(number: int) -> None:
        """Sends and receives in the same select, and so keeps the number of values."""
        mine: list[Any] = [(number, i) for i in range(200)]
        sent = 0
        while sent < 200:
            index, value, ok = select(chans[0].on_send(mine[0]), chans[1])
            if index == 0:
                mine.pop(0)
                sent += 1
            else:
                mine.append(value)
                sent -= 1

    receivers = Crew(crew.kind)
    for head in heads:
        receivers.go(receiver, head)
    for number in range(3):
        crew.go(sender, number)
    for number in range(3, 5):
        crew.go(by_turns, number)
    crew.join()
    wait_until(lambda: sum(map(len, chans)) == 0)
    stop.close()
    receivers.join()
    left = [value for ch in chans for value in [*iter_now(ch)]]
    expected = [(number, i) for number in range(3) for i in range(400)]
    expected += [(number, i) for number in range(3, 5) for i in range(200)]
    assert sorted([value for head in heads for value in head] + left) == sorted(expected)


def iter_now(ch: Chan[Any]) -> Any:
    while True:
        try:
            yield ch.try_recv()
        except WouldBlock:
            return


def test_two_selects_meet(crew: Crew) -> None:
    a, b = Chan[int](), Chan[int]()
    crew.go(lambda: [select((a, i), (b, i)) for i in range(500)])
    assert [select(b, a)[1] for _ in range(500)] == list(range(500))


# ---------------------------------------------------------------------------------------------------- references


def test_references_are_exact() -> None:
    value = Thing()
    a, b, full = Chan[Any](1), Chan[Any](1), Chan[Any](1)
    full.send(0)
    before = sys.getrefcount(value)
    for _ in range(100):
        assert select((full, value), (None, value), default=True)[0] == -1
        with pytest.raises(TimeoutError):
            select((full, value), timeout=0)
        with pytest.raises(TypeError):
            select((full, value), (a, value), 5)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            select((a, value), timeout="x")  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        select((full, value), full.on_send(value), timeout=0.001)
    assert sys.getrefcount(value) == before
    for _ in range(100):
        index, _, _ = select((a, value), (b, value), (full, value))
        assert sys.getrefcount(value) == before + 1
        received = select(a, b)
        assert received == (index, value, True)
        assert received[1] is value
        del received
        assert sys.getrefcount(value) == before
    case = a.on_send(value)
    assert sys.getrefcount(value) == before + 1
    for _ in range(100):
        select(case)
        a.recv()
    assert sys.getrefcount(value) == before + 1
    del case
    many = [Chan[Any](1) for _ in range(20)]
    for _ in range(20):
        select(*[(ch, value) for ch in many])
    assert sys.getrefcount(value) == before + 20
    with pytest.raises(TimeoutError):
        select(*[(ch, value) for ch in many], timeout=0)
    for _ in range(20):
        select(*many)
    assert sys.getrefcount(value) == before
    a.close()
    with pytest.raises(Closed):
        select((a, value), (full, value))
    assert sys.getrefcount(value) == before


def test_references_are_exact_when_waiting(crew: Crew) -> None:
    value, a, b = Thing(), Chan[Any](), Chan[Any]()
    before = sys.getrefcount(value)
    crew.go(lambda: [select(a, b) for _ in range(100)])
    for _ in range(100):
        select((a, value), (b, value))
    crew.join()
    assert sys.getrefcount(value) == before


def test_cases_in_cycles_are_collected() -> None:
    def make() -> Any:
        thing = Thing()
        thing.case = Chan[Any](1).on_send(thing)  # type: ignore[attr-defined]
        return thing

    references = [weakref.ref(make()) for _ in range(10)]
    gc.collect()
    assert all(reference() is None for reference in references)


def test_the_collector_and_selects_agree(crew: Crew) -> None:
    a, b, stop = Chan[Any](2), Chan[Any](2), []

    class Node:
        def __init__(self, number: int) -> None:
            self.me, self.text = self, str(number)

    def receiver() -> None:
        for _ in range(1000):
            _, node, _ = select(a, b)
            assert node.me is node and node.text

    def collector() -> None:
        while not stop:
            gc.collect()

    people, collectors = Crew("thread"), Crew("thread")
    people.go(receiver)
    people.go(receiver)
    collectors.go(collector)
    crew.go(lambda: [select((a, Node(i)), (b, Node(i))) for i in range(1000)])
    crew.go(lambda: [select((b, Node(i)), (a, Node(i))) for i in range(1000)])
    crew.join()
    people.join()
    stop.append(1)
    collectors.join()


def test_the_collector_stays_out_while_somebody_waits_without_the_gil(crew: Crew) -> None:
    """Who waits as a goroutine holds the GIL whenever it acts: then the collector sees what is in the buffer."""
    go_on, full, waiting = Chan[int](), Chan[Any](1), Chan[int](1)
    thing = Thing()
    full.send(thing)

    def seen() -> bool:
        return any(referent is thing for referent in gc.get_referents(full))

    def people() -> None:
        waiting.send(1)
        assert select(go_on, (full, 1))[0] == 0

    assert seen()
    crew.go(people)
    waiting.recv()
    parked(go_on, 1)
    assert seen() is (crew.kind == "goroutine")
    go_on.send(1)
    crew.join()
    assert seen()


def test_select_between_threads_and_goroutines() -> None:
    """Both kinds wait in the same queues."""
    if not hasattr(gort, "go"):
        pytest.skip("no goroutines in this build")
    ch, done = Chan[int](), Chan[int](10)
    threads = [threading.Thread(target=lambda: done.send(select(ch, None)[1])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        gort.go(lambda: done.send(select(None, ch)[1]))
    parked(ch, 10)
    for i in range(10):
        ch.send(i)
    assert sorted(done.recv() for _ in range(10)) == list(range(10))
    for thread in threads:
        thread.join()
