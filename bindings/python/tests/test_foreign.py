"""C code that has called back into Python stays on its thread, and others run meanwhile."""

from __future__ import annotations

import ctypes
import functools
import sqlite3
import threading
from typing import Any, Callable

import gort
from helpers import wait_for


def identity() -> int:
    return threading.get_ident()


def test_ctypes_callbacks_stay_on_their_thread() -> None:
    """qsort calls back into Python, which yields: each call returns on the thread on which it began."""
    libc = ctypes.CDLL(None)
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    problems: list[str] = []
    ended: list[int] = []

    def body(number: int) -> None:
        home: list[int] = []

        def compare(a: Any, b: Any) -> int:
            before = identity()
            gort.gosched()
            if len(ended) % 3 == 0:
                gort.sleep(0.0005)
            if identity() != before:
                problems.append("moved")
            home.append(before)
            return int(a[0]) - int(b[0])

        values = (ctypes.c_int * 20)(*[(7 * n + number) % 20 for n in range(20)])
        libc.qsort(values, 20, ctypes.sizeof(ctypes.c_int), compare_type(compare))
        if list(values) != sorted(values):
            problems.append("not sorted")
        if len(set(home)) != 1:
            problems.append("one call on several threads")
        ended.append(number)

    for number in range(10):
        gort.go(body, number)
    wait_for(lambda: len(ended) == 10)
    assert problems == []


def test_sqlite_callbacks() -> None:
    """sqlite holds a mutex of its thread, and thinks it has the thread, while it calls back."""
    ended: list[int] = []

    def body(number: int) -> None:
        # Threads that share one would deadlock in Python itself.
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        homes: set[int] = set()

        def slow(value: int) -> int:
            before = identity()
            gort.sleep(0.001)
            gort.gosched()
            homes.update((before, identity()))
            return value * 2

        connection.create_function("slow", 1, slow)
        for _ in range(5):
            homes.clear()
            rows = connection.execute("select slow(?) union select slow(-1)", (number,)).fetchall()
            assert rows == [(-2,), (number * 2,)]
            assert len(homes) == 1
        connection.close()
        ended.append(number)

    for number in range(5):
        gort.go(body, number)
    wait_for(lambda: len(ended) == 5)


def test_others_run_while_a_callback_waits() -> None:
    callback = ctypes.CFUNCTYPE(None)
    release = False
    inside: list[int] = []

    def waits() -> None:
        inside.append(1)
        while not release:
            gort.sleep(0.001)

    gort.go(callback(waits))
    wait_for(lambda: len(inside) == 1)
    ran: list[int] = []
    for number in range(50):
        gort.go(ran.append, number)
    wait_for(lambda: len(ran) == 50)
    release = True
    wait_for(lambda: gort.num_goroutines() == 0)


def test_python_frames_alone_do_not_keep_a_thread() -> None:
    """Sorting with a key, partial, methods, a thousand yields in nested functions: all of it in few threads."""
    threads: set[int] = set()
    ended: list[int] = []

    def nested(depth: int) -> None:
        if depth:
            nested(depth - 1)
            return
        threads.add(identity())
        gort.sleep(0.01)
        threads.add(identity())

    def key(value: int) -> int:
        nested(value % 3)
        return -value

    def body() -> None:
        assert sorted(range(5), key=key) == [4, 3, 2, 1, 0]
        functools.partial(nested, 2)()
        ended.append(1)

    for _ in range(100):
        gort.go(body)
    wait_for(lambda: len(ended) == 100)
    # Each of a hundred would need its own.
    assert len(threads) < 50


def test_ctypes_into_gort_releases_the_gil() -> None:
    """ctypes releases the GIL around gort_sleep and gort_yield, which then park with no thread state attached."""
    library = ctypes.CDLL(gort.get_library())
    ended: list[int] = []

    def body(number: int) -> None:
        for _ in range(5):
            library.gort_sleep(ctypes.c_int64(1_000_000))
            library.gort_yield()
        ended.append(number)

    for number in range(20):
        gort.go(body, number)
    wait_for(lambda: len(ended) == 20)


def test_ctypes_with_the_gil_held() -> None:
    library = ctypes.PyDLL(gort.get_library())
    ended: list[int] = []

    def body(number: int) -> None:
        for _ in range(5):
            library.gort_sleep(ctypes.c_int64(1_000_000))
            library.gort_yield()
        ended.append(number)

    for number in range(20):
        gort.go(body, number)
    wait_for(lambda: len(ended) == 20)


def test_goroutines_of_c_may_call_python() -> None:
    """gort_spawn through ctypes: a goroutine of C code on an ordinary worker, which takes the GIL to call back."""
    library = ctypes.CDLL(gort.get_library())
    ended: list[int] = []

    def body(_: Any) -> None:
        for _ in range(3):
            gort.sleep(0.001)
            gort.gosched()
        ended.append(1)

    function: Callable[..., Any] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(body)
    for _ in range(10):
        assert library.gort_spawn(function, None) == 0
    wait_for(lambda: len(ended) == 10)
    wait_for(lambda: gort.num_goroutines() == 0)
