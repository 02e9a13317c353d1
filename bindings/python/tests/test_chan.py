"""Channels: Go's rules, exact references, cycles, plain elements, handles."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import types
import weakref
from typing import Any

import pytest
from crew import Crew, parked, wait_until, waiters

import gort
from gort import Chan, Closed, RecvChan, SendChan, WouldBlock, select


class Thing:
    """An object of which one can see whether it is still there."""


# ------------------------------------------------------------------------------------------------- send, receive


def test_a_buffer_holds_its_capacity_in_order() -> None:
    ch = Chan[int](3)
    assert (ch.cap, len(ch)) == (3, 0)
    for i in range(3):
        ch.send(i)
        assert len(ch) == i + 1
    with pytest.raises(WouldBlock):
        ch.try_send(3)
    assert [ch.recv(), ch.try_recv(), ch.recv_ok()] == [0, 1, (2, True)]
    with pytest.raises(WouldBlock):
        ch.try_recv()


def test_any_object_travels_and_is_the_same_one() -> None:
    ch = Chan[Any](1)
    for value in [None, False, 0, "", b"", (), [], {}, Thing(), print, Chan, ch, 10**50, float("nan")]:
        ch.send(value)
        assert ch.recv() is value
    ch.send(None)
    assert ch.recv_ok() == (None, True)


def test_without_a_buffer_a_send_waits_for_its_receiver(crew: Crew) -> None:
    ch, log = Chan[int](), []
    with pytest.raises(WouldBlock):
        ch.try_send(1)

    def sender() -> None:
        for i in range(100):
            ch.send(i)
            log.append(i)

    crew.go(sender)
    parked(ch, 1)
    assert log == []
    for i in range(100):
        assert ch.recv() == i
        # The sender may have said so already, or be about to; but it is not ahead by more than the one that waits.
        assert len(log) <= i + 1
    crew.join()
    assert log == list(range(100))


def test_a_receiver_waits_for_a_value(crew: Crew) -> None:
    ch, got = Chan[str](), []
    crew.go(lambda: got.append(ch.recv()))
    parked(ch, 1)
    ch.try_send("now")  # Somebody waits: no need to wait.
    crew.join()
    assert got == ["now"]


def test_those_who_wait_are_served_in_their_order(crew: Crew) -> None:
    ch, got = Chan[int](), []
    lock = threading.Lock()

    def receiver(number: int) -> None:
        value = ch.recv()
        with lock:
            got.append((number, value))

    for number in range(10):
        crew.go(receiver, number)
        parked(ch, number + 1)
    for value in range(10):
        ch.try_send(value)
    crew.join()
    assert sorted(got) == [(i, i) for i in range(10)]

    for number in range(10):
        crew.go(ch.send, number)
        parked(ch, number + 1)
    assert [ch.recv() for _ in range(10)] == list(range(10))
    crew.join()


@pytest.mark.parametrize("cap", [0, 1, 7, 100])
def test_many_to_many_lose_and_invent_nothing(crew: Crew, cap: int) -> None:
    ch, senders, receivers, each = Chan[tuple[int, int]](cap), 4, 4, 500
    heads: list[list[tuple[int, int]]] = [[] for _ in range(receivers)]
    left = [senders]
    lock = threading.Lock()

    def sender(number: int) -> None:
        for i in range(each):
            ch.send((number, i))
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            ch.close()

    for number in range(senders):
        crew.go(sender, number)
    for head in heads:
        crew.go(lambda head=head: head.extend(ch))
    crew.join()
    assert sorted(value for head in heads for value in head) == [(s, i) for s in range(senders) for i in range(each)]
    for head in heads:  # What one receiver has from one sender is in that sender's order.
        for number in range(senders):
            order = [i for s, i in head if s == number]
            assert order == sorted(order)


# --------------------------------------------------------------------------------------------------------- close


def test_what_was_sent_before_the_close_is_received() -> None:
    ch = Chan[int](3)
    ch.send(1)
    ch.send(2)
    ch.close()
    assert len(ch) == 2
    with pytest.raises(Closed):
        ch.send(3)
    with pytest.raises(Closed):
        ch.try_send(3)
    assert ch.recv() == 1
    assert list(ch) == [2]
    assert ch.recv_ok() == (None, False)
    with pytest.raises(Closed):
        ch.recv()
    with pytest.raises(Closed):
        ch.try_recv()
    with pytest.raises(Closed):
        ch.close()
    assert list(ch) == []
    with pytest.raises(StopIteration):
        next(ch)


def test_a_close_wakes_all_who_wait(crew: Crew) -> None:
    for timeout in [None, 1000.0]:
        ch, closed = Chan[int](), []

        def receiver() -> None:
            with pytest.raises(Closed):
                ch.recv(timeout)
            closed.append(1)

        for _ in range(8):
            crew.go(receiver)
        parked(ch, 8)
        ch.close()
        crew.join()
        assert len(closed) == 8

        ch, closed = Chan[int](1), []
        ch.send(0)

        def sender() -> None:
            with pytest.raises(Closed):
                ch.send(1, timeout)
            closed.append(1)

        for _ in range(8):
            crew.go(sender)
        parked(ch, 8)
        ch.close()
        crew.join()
        assert len(closed) == 8
        assert list(ch) == [0]


def test_iteration_ends_with_the_channel(crew: Crew) -> None:
    ch = Chan[int](2)

    def sender() -> None:
        for i in range(50):
            ch.send(i)
        ch.close()

    crew.go(sender)
    assert list(ch) == list(range(50))


# ------------------------------------------------------------------------------------------------------ timeouts


def test_a_timeout_raises_and_transfers_nothing() -> None:
    ch = Chan[int]()
    for timeout in [0, 0.0, -1, 0.001, -1e300, float("-inf"), True]:
        if timeout is True:
            continue
        with pytest.raises(TimeoutError):
            ch.recv(timeout)
        with pytest.raises(TimeoutError):
            ch.recv_ok(timeout=timeout)
        with pytest.raises(TimeoutError):
            ch.send(1, timeout)
    assert waiters(ch) == 0
    full = Chan[int](1)
    full.send(1)
    with pytest.raises(TimeoutError):
        full.send(2, timeout=0.001)
    assert (len(full), full.recv(timeout=0)) == (1, 1)


def test_a_timeout_that_is_not_reached(crew: Crew) -> None:
    for timeout in [1000.0, 10**9, 1e300, float("inf"), None]:
        ch, got = Chan[int](), []
        crew.go(lambda: got.append(ch.recv(timeout=timeout)))
        parked(ch, 1)
        ch.send(7, timeout)
        crew.join()
        assert got == [7]


def test_a_timeout_in_the_crew(crew: Crew) -> None:
    ch, late = Chan[int](), []

    def receiver() -> None:
        with pytest.raises(TimeoutError):
            ch.recv(0.01)
        late.append(1)

    for _ in range(4):
        crew.go(receiver)
    crew.join()
    assert len(late) == 4
    assert waiters(ch) == 0


def test_a_signal_ends_a_wait_of_the_main_thread_and_loses_nothing() -> None:
    class Interrupt(Exception):
        pass

    def handler(number: int, frame: Any) -> None:
        raise Interrupt

    ch, value = Chan[Thing](), Thing()
    before = sys.getrefcount(value)
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        for wait in [ch.recv, lambda: ch.recv(1000), lambda: ch.send(value), lambda: select((ch, value), None), ch.__next__]:
            people = Crew("thread")
            people.go(lambda: (parked(ch, 1), os.kill(os.getpid(), signal.SIGUSR1)))
            with pytest.raises(Interrupt):
                wait()
            people.join()
            assert waiters(ch) == 0
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert sys.getrefcount(value) == before


# ----------------------------------------------------------------------------------------------------- arguments


def test_bad_arguments() -> None:
    with pytest.raises(ValueError):
        Chan(-1)
    with pytest.raises(TypeError):
        Chan("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Chan(1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Chan(1, 2)  # type: ignore[misc]
    with pytest.raises(TypeError):
        Chan(capacity=1)  # type: ignore[call-arg]
    with pytest.raises(MemoryError):
        Chan(sys.maxsize)
    with pytest.raises(OverflowError):
        Chan(10**30)
    ch = Chan[int](1)
    for call in [ch.send, ch.try_send, lambda: ch.send(), lambda: ch.send(1, 2, 3), lambda: ch.send(1, value=2)]:
        with pytest.raises(TypeError):
            call()  # type: ignore[operator]
    with pytest.raises(TypeError):
        ch.recv(timeout="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ch.recv(1, 2)  # type: ignore[call-arg]
    with pytest.raises(ValueError):
        ch.recv(float("nan"))
    with pytest.raises(ValueError):
        ch.send(1, timeout=float("nan"))
    assert len(ch) == 0
    ch.send(value=1, timeout=None)
    assert ch.recv() == 1


def test_the_type() -> None:
    assert isinstance(Chan[int], types.GenericAlias)
    assert type(Chan[int](1)) is Chan
    assert Chan().cap == 0
    ch = Chan(2)
    assert repr(ch).startswith("<gort.Chan len=0 cap=2 at 0x")
    assert ch  # True though it is empty.
    assert hash(ch) == hash(ch) and ch == ch and ch != Chan(2)
    with pytest.raises(TypeError):
        pickle.dumps(ch)
    with pytest.raises(TypeError):
        copy.copy(ch)
    with pytest.raises(AttributeError):
        ch.other = 1  # type: ignore[attr-defined]
    if sys.version_info >= (3, 10):
        with pytest.raises(TypeError):
            Chan.send = 1  # type: ignore[method-assign, assignment]
    with pytest.raises(TypeError):

        class Sub(Chan):  # type: ignore[misc, type-arg]
            pass

    reference = weakref.ref(ch)
    del ch
    assert reference() is None


# --------------------------------------------------------------------------------------------------------- views


def test_views_show_the_channel_from_one_side() -> None:
    ch = Chan[int](2)
    tx, rx = ch.tx, ch.rx
    assert (type(tx), type(rx)) == (SendChan, RecvChan)
    tx.send(1)
    tx.try_send(2)
    assert (len(tx), len(rx), tx.cap, rx.cap) == (2, 2, 2, 2)
    with pytest.raises(TimeoutError):
        tx.send(3, timeout=0)
    assert (rx.recv(), rx.recv_ok(), next(iter([rx.cap]))) == (1, (2, True), 2)
    with pytest.raises(WouldBlock):
        rx.try_recv()
    tx.send(4)
    tx.close()
    assert list(rx) == [4]
    for name in ["recv", "recv_ok", "try_recv", "arecv", "on_recv", "__iter__", "__next__", "__aiter__", "rx", "handle"]:
        assert not hasattr(tx, name)
    for name in ["send", "try_send", "close", "asend", "on_send", "tx", "handle"]:
        assert not hasattr(rx, name)
    assert tx == ch.tx and hash(tx) == hash(ch.tx) and tx != rx and tx != ch and tx != Chan[int]().tx
    assert repr(tx).startswith("<gort.SendChan len=0 cap=2") and repr(rx).startswith("<gort.RecvChan ")
    with pytest.raises(TypeError):
        SendChan()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        RecvChan(ch)  # type: ignore[call-arg]
    assert isinstance(SendChan[int], types.GenericAlias) and isinstance(RecvChan[int], types.GenericAlias)


def test_a_view_keeps_its_channel() -> None:
    ch = Chan[Thing](1)
    rx, reference = ch.rx, weakref.ref(ch)
    thing = Thing()
    ch.send(thing)
    del ch
    assert reference() is not None
    assert rx.recv() is thing
    del rx
    assert reference() is None


# ---------------------------------------------------------------------------------------------------- references


def test_references_are_exact_on_success_and_on_failure() -> None:
    value: object = Thing()
    before = sys.getrefcount(value)
    ch = Chan[object](1)
    ch.send(value)
    assert sys.getrefcount(value) == before + 1
    with pytest.raises(WouldBlock):
        ch.try_send(value)
    with pytest.raises(TimeoutError):
        ch.send(value, 0)
    with pytest.raises(TimeoutError):
        ch.send(value, 0.001)
    with pytest.raises(TypeError):
        ch.send(value, "soon")  # type: ignore[arg-type]
    assert sys.getrefcount(value) == before + 1
    assert ch.recv() is value
    assert sys.getrefcount(value) == before
    for _ in range(1000):
        ch.send(value)
        ch.recv()
        ch.try_send(value)
        ch.recv_ok()
        ch.tx.send(value)
        ch.rx.try_recv()
    assert sys.getrefcount(value) == before
    ch.send(value)
    ch.close()
    with pytest.raises(Closed):
        ch.send(value)
    with pytest.raises(Closed):
        ch.try_send(value)
    assert sys.getrefcount(value) == before + 1
    assert list(ch) == [value]
    assert sys.getrefcount(value) == before


def test_none_is_not_used_up() -> None:
    ch = Chan[None](1)
    before = sys.getrefcount(None)
    for _ in range(10000):
        ch.send(None)
        ch.recv()
        ch.try_send(None)
        assert ch.recv_ok(timeout=0) == (None, True)
    assert abs(sys.getrefcount(None) - before) < 1000


def test_references_are_exact_when_waiting(crew: Crew) -> None:
    value, ch = Thing(), Chan[Thing]()
    crew.go(lambda: [ch.recv() for _ in range(200)])
    before = sys.getrefcount(value)
    for _ in range(200):
        ch.send(value)
    crew.join()
    assert sys.getrefcount(value) == before
    crew.go(lambda: [ch.send(value) for _ in range(200)])
    for _ in range(200):
        ch.recv()
    crew.join()
    assert sys.getrefcount(value) == before


def test_a_sender_that_waits_in_vain_keeps_its_value(crew: Crew) -> None:
    ch, things, gone = Chan[Thing](), [Thing() for _ in range(8)], []
    for thing in things:
        weakref.finalize(thing, gone.append, 1)

    def sender(number: int, timeout: float | None) -> None:
        with pytest.raises((Closed, TimeoutError)):
            ch.send(things[number], timeout)
        assert not gone

    for number in range(8):
        crew.go(sender, number, None if number % 2 else 0.01)
    wait_until(lambda: crew.ends.qsize() == 4)  # The timeouts have come; the others wait on.
    parked(ch, 4)
    ch.close()
    crew.join()
    assert not gone
    things.clear()
    del thing
    gc.collect()
    assert len(gone) == 8


def test_a_channel_that_goes_away_drops_what_it_holds() -> None:
    things = [Thing() for _ in range(100)]
    references = [weakref.ref(thing) for thing in things]
    ch = Chan[Thing](100)
    for thing in things:
        ch.send(thing)
    del thing
    things.clear()
    assert all(reference() is not None for reference in references)
    ch.close()
    del ch
    assert all(reference() is None for reference in references)


def test_what_is_dropped_may_use_channels() -> None:
    outer, log = Chan[Any](10), Chan[str](10)

    class Last:
        def __del__(self) -> None:
            log.send("gone")
            with pytest.raises(WouldBlock):
                outer_again.try_recv()

    outer_again = Chan[Any](1)
    outer.send(Last())
    outer.send(Last())
    del outer
    assert [log.recv(), log.recv(), len(log)] == ["gone", "gone", 0]


def test_a_long_chain_of_channels_goes_away() -> None:
    ch = Chan[Any](1)
    for _ in range(200_000):
        outer = Chan[Any](1)
        outer.send(ch)
        ch = outer
    reference = weakref.ref(outer)
    del outer, ch
    assert reference() is None


# ------------------------------------------------------------------------------------------- garbage collection


def test_cycles_through_channels_are_collected() -> None:
    def itself() -> Any:
        ch = Chan[Any](4)
        ch.send(ch)
        return ch

    def by_view() -> Any:
        ch = Chan[Any](4)
        ch.send(ch.tx)
        ch.send({"rx": ch.rx})
        return ch

    def by_case() -> Any:
        ch, other = Chan[Any](4), Chan[Any](4)
        ch.send(other.on_send(ch))
        ch.send(ch.on_recv())
        return ch

    def of_two() -> Any:
        a, b = Chan[Any](1), Chan[Any](1)
        a.send([b])
        b.send((a,))
        return a

    def by_object() -> Any:
        thing = Thing()
        thing.ch = Chan[Any](2)  # type: ignore[attr-defined]
        thing.ch.send(thing)  # type: ignore[attr-defined]
        return thing.ch  # type: ignore[attr-defined]

    gc.collect()
    for make in [itself, by_view, by_case, of_two, by_object]:
        references = [weakref.ref(make()) for _ in range(10)]
        gc.collect()
        assert all(reference() is None for reference in references), make.__name__


def test_what_can_be_reached_is_not_collected() -> None:
    ch = Chan[Any](3)
    thing = Thing()
    thing.cycle = thing  # type: ignore[attr-defined]
    reference = weakref.ref(thing)
    ch.send(thing)
    ch.send([ch])
    del thing
    for _ in range(3):
        gc.collect()
    assert reference() is not None
    assert any(referent is reference() for referent in gc.get_referents(ch))
    assert ch.recv() is reference()


def test_the_collector_and_those_who_wait_agree(crew: Crew) -> None:
    """A collection sees the same references from its beginning to its end, whatever others do without the GIL."""
    ch, stop = Chan[Any](2), []

    class Node:
        def __init__(self, number: int) -> None:
            self.me, self.number, self.text = self, number, str(number)

    def receiver() -> None:
        for node in ch:
            assert node.me is node and node.text == str(node.number)

    def collector() -> None:
        while not stop:
            gc.collect()

    def sender() -> None:
        for number in range(1500):
            ch.send(Node(number))

    receivers = Crew("thread")
    receivers.go(receiver)
    receivers.go(receiver)
    collectors = Crew("thread")
    collectors.go(collector)
    crew.go(sender)
    crew.go(sender)
    crew.join()
    ch.close()
    receivers.join()
    stop.append(1)
    collectors.join()


def test_a_channel_whose_handle_is_known_is_left_alone() -> None:
    ch = Chan[Any](1)
    assert ch.handle
    ch.send(ch)
    reference = weakref.ref(ch)
    del ch
    gc.collect()
    held = reference()
    assert held is not None
    held.recv()  # Break the cycle by hand.
    del held
    assert reference() is None


# ------------------------------------------------------------------------------------- plain elements, handles


def test_plain_elements() -> None:
    ints = Chan(3, elem=int)
    for value in [0, -(2**63), 2**63 - 1]:
        ints.send(value)
    assert [ints.recv() for _ in range(3)] == [0, -(2**63), 2**63 - 1]
    for bad in [2**63, -(2**63) - 1]:
        with pytest.raises(OverflowError):
            ints.send(bad)
    for wrong in [1.5, "1", None, b"12345678"]:
        with pytest.raises(TypeError):
            ints.send(wrong)  # type: ignore[arg-type]
    floats = Chan(1, elem=float)
    floats.send(2)
    assert floats.recv() == 2.0
    with pytest.raises(TypeError):
        floats.send("2")  # type: ignore[arg-type]
    three = Chan(2, elem=3)
    three.send(b"abc")
    three.send(bytearray(b"\0\1\2"))
    assert [three.recv(), three.recv()] == [b"abc", b"\0\1\2"]
    for size in [2, 4]:
        with pytest.raises(ValueError):
            three.send(b"x" * size)
    with pytest.raises(TypeError):
        three.send("abc")  # type: ignore[arg-type]
    signals = Chan(2, elem=0)
    signals.send(None)
    assert (len(signals), signals.recv()) == (1, None)
    with pytest.raises(TypeError):
        signals.send(1)  # type: ignore[arg-type]
    big = Chan(1, elem=100_000)
    big.send(b"z" * 100_000)
    big.close()
    assert list(big) == [b"z" * 100_000]
    assert Chan(elem=object).cap == 0
    for bad in [-1, str, bytes, "int"]:
        with pytest.raises((TypeError, ValueError)):
            Chan(1, elem=bad)  # type: ignore[call-overload]


def test_plain_elements_between_people(crew: Crew) -> None:
    ints, blocks = Chan(elem=int), Chan(elem=64)
    crew.go(lambda: [ints.send(i) for i in range(100)])
    crew.go(lambda: [blocks.send(bytes([i]) * 64) for i in range(100)])
    assert [ints.recv() for _ in range(100)] == list(range(100))
    assert [blocks.recv() for _ in range(100)] == [bytes([i]) * 64 for i in range(100)]
    with pytest.raises(TimeoutError):
        blocks.recv(0.001)
    with pytest.raises(TimeoutError):
        blocks.send(b"\0" * 64, 0.001)


def test_a_handle_leads_to_the_same_channel() -> None:
    ch = Chan[Any](2)
    other = Chan[Any].from_handle(ch.handle)
    assert other == ch and hash(other) == hash(ch) and other is not ch
    thing = Thing()
    ch.send(thing)
    assert other.recv() is thing
    other.send([thing])
    del ch
    assert other.recv() == [thing]
    reference = weakref.ref(thing)
    other.send(thing)
    del thing
    assert reference() is not None
    del other
    assert reference() is None
    for bad in [0, -1]:
        with pytest.raises((ValueError, OverflowError)):
            Chan.from_handle(bad) if bad == 0 else Chan.from_handle(2**64)
    with pytest.raises(TypeError):
        Chan.from_handle("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Chan.from_handle()  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    lib = ctypes.CDLL(gort.get_library())
    lib.gort_chan_new.restype = ctypes.c_void_p
    lib.gort_chan_new.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    for name in ["gort_chan_send", "gort_chan_recv"]:
        getattr(lib, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.gort_chan_release.argtypes = lib.gort_chan_close.argtypes = [ctypes.c_void_p]
    lib.gort_chan_release.restype = None
    return lib


def test_a_channel_of_c_code(library: ctypes.CDLL) -> None:
    address = library.gort_chan_new(4, 2)
    ch = Chan.from_handle(address, elem=int)
    library.gort_chan_release(address)
    assert ch.cap == 2
    ch.send(-5)
    with pytest.raises(OverflowError):
        ch.send(2**31)
    got = ctypes.c_int32()
    assert library.gort_chan_recv(ch.handle, ctypes.byref(got)) == 0
    assert got.value == -5
    assert library.gort_chan_send(ch.handle, ctypes.byref(ctypes.c_int32(2**31 - 1))) == 0
    assert ch.recv() == 2**31 - 1
    assert Chan.from_handle(ch.handle, elem=bytes).cap == Chan.from_handle(ch.handle, elem=4).cap == 2
    halves = Chan.from_handle(ch.handle, elem=float)
    halves.send(0.5)
    assert halves.recv() == 0.5
    for elem in [object, None, 5]:
        with pytest.raises(ValueError):
            Chan.from_handle(ch.handle, elem=elem)  # type: ignore[call-overload]
    small = library.gort_chan_new(1, 1)
    byte = Chan.from_handle(small, elem=int)
    library.gort_chan_release(small)
    byte.send(-128)
    assert byte.recv() == -128
    with pytest.raises(OverflowError):
        byte.send(128)
    empty = library.gort_chan_new(0, 1)
    signals = Chan.from_handle(empty)
    library.gort_chan_release(empty)
    signals.send(None)
    assert signals.recv_ok() == (None, True)


def test_a_channel_of_python_used_by_c_code(library: ctypes.CDLL) -> None:
    """As C code would: from a thread that does not hold the GIL (ctypes lets it go)."""
    numbers, count = Chan(0, elem=int), 500

    def produce() -> None:
        for i in range(count):
            assert library.gort_chan_send(numbers.handle, ctypes.byref(ctypes.c_int64(i))) == 0
        library.gort_chan_close(numbers.handle)

    people = Crew("thread")
    people.go(produce)
    assert list(numbers) == list(range(count))
    people.join()

    objects = Chan[Thing](1)
    thing = Thing()
    before = sys.getrefcount(thing)
    objects.send(thing)
    place = ctypes.c_void_p()
    assert library.gort_chan_recv(objects.handle, ctypes.byref(place)) == 0
    assert place.value == id(thing)
    assert library.gort_chan_send(objects.handle, ctypes.byref(place)) == 0
    assert objects.recv() is thing
    assert sys.getrefcount(thing) == before
    null = ctypes.c_void_p()
    assert library.gort_chan_send(objects.handle, ctypes.byref(null)) == 0
    assert objects.recv_ok() == (None, True)


def test_c_code_that_lets_go_last_drops_what_is_left(library: ctypes.CDLL) -> None:
    """In a goroutine of C code and on a plain thread, without the GIL; what is dropped runs Python code that waits."""
    meeting, log = Chan[str](), Chan[str](10)

    class Last:
        def __del__(self) -> None:
            meeting.send("gone")
            log.send("all gone")

    library.gort_chan_retain.argtypes = [ctypes.c_void_p]
    library.gort_chan_retain.restype = ctypes.c_void_p
    release = ctypes.cast(library.gort_chan_release, ctypes.c_void_p)
    library.gort_spawn.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    for let_go in [lambda address: library.gort_spawn(release, address), library.gort_chan_release]:
        ch = Chan[Any](2)
        ch.send(Last())
        ch.send(Last())
        address = library.gort_chan_retain(ch.handle)
        del ch
        people = Crew("thread")
        people.go(let_go, address)
        for _ in range(2):
            assert meeting.recv() == "gone"
        for _ in range(2):
            assert log.recv() == "all gone"
        people.join()
