"""Each goroutine has its own exception, contextvars, frames, thread-locals, and recursion limit."""

from __future__ import annotations

import contextvars
import faulthandler
import sys
import tempfile
import threading
import traceback
from types import FrameType
from typing import Any, Callable, Optional

import gort
from helpers import wait_for


def everywhere(count: int, body: Callable[[int], None]) -> None:
    """Run body(n) in goroutines, at the same time; what one raises is raised here."""
    problems: list[BaseException] = []
    ended: list[int] = []

    def one(number: int) -> None:
        try:
            body(number)
        except BaseException as problem:
            problems.append(problem)
        ended.append(number)

    for number in range(count):
        gort.go(one, number)
    wait_for(lambda: len(ended) == count)
    for problem in problems:
        raise problem


def test_exceptions_are_each_goroutines_own() -> None:
    def body(number: int) -> None:
        try:
            raise KeyError(number)
        except KeyError:
            for _ in range(5):
                gort.gosched()
                handled = sys.exc_info()[1]
                assert isinstance(handled, KeyError) and handled.args == (number,)
                try:
                    raise ValueError(number)
                except ValueError as inner:
                    gort.gosched()
                    assert inner.__context__ is handled
        assert sys.exc_info() == (None, None, None)

    everywhere(20, body)


def test_contextvars_are_copied_at_go() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)
    variable.set(7)
    seen: list[int] = []

    def body(number: int) -> None:
        seen.append(variable.get())
        variable.set(number)
        for _ in range(3):
            gort.gosched()
            assert variable.get() == number

    for number in range(5):
        gort.go(body, number)
    # What go() has copied does not change.
    variable.set(8)
    wait_for(lambda: gort.num_goroutines() == 0)
    assert seen == [7] * 5
    assert variable.get() == 8


def test_generators_cross_goroutines() -> None:
    """A generator that was begun in one goroutine goes on in another, on whatever thread."""

    def numbers() -> Any:
        for number in range(100):
            gort.gosched()
            yield number

    generator = numbers()
    got: list[int] = []
    busy = threading.Lock()

    def taker() -> None:
        while True:
            while not busy.acquire(blocking=False):
                gort.gosched()
            try:
                got.append(next(generator))
            except StopIteration:
                return
            finally:
                busy.release()

    for _ in range(4):
        gort.go(taker)
    wait_for(lambda: gort.num_goroutines() == 0)
    assert sorted(got) == list(range(100))


def test_thread_locals_are_each_goroutines_own() -> None:
    local = threading.local()

    def body(number: int) -> None:
        assert not hasattr(local, "value")
        local.value = number
        for _ in range(3):
            gort.gosched()
            assert local.value == number

    everywhere(10, body)


def test_current_thread_is_some_thread() -> None:
    """threading.current_thread() is that of the OS thread: no goroutine's own, but usable."""

    def body(number: int) -> None:
        assert threading.current_thread().is_alive()
        assert threading.current_thread() is not threading.main_thread()
        assert threading.current_thread().name

    everywhere(3, body)


def test_frames_of_parked_goroutines_are_seen() -> None:
    """sys._current_frames() has an entry for each goroutine, at the place where it waits."""
    stop = False

    def parked_here() -> None:
        while not stop:
            gort.sleep(0.005)

    for _ in range(3):
        gort.go(parked_here)

    def frames() -> list[str]:
        return [frame.f_code.co_name for frame in sys._current_frames().values()]

    wait_for(lambda: frames().count("parked_here") == 3)
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        assert file.read().count(b"in parked_here") == 3
    stop = True
    wait_for(lambda: gort.num_goroutines() == 0)
    assert frames().count("parked_here") == 0


def test_tracebacks_begin_in_the_goroutine() -> None:
    def body(number: int) -> None:
        try:
            raise ValueError(number)
        except ValueError as problem:
            names = [frame.name for frame in traceback.extract_tb(problem.__traceback__)]
            assert names == ["body"]
        stack = [frame.name for frame in traceback.extract_stack()]
        assert stack == ["one", "body"]

    everywhere(2, body)


def test_trace_functions_are_each_goroutines_own() -> None:
    calls: dict[int, int] = {}

    def body(number: int) -> None:
        def trace(frame: FrameType, event: str, argument: Any) -> Optional[Callable[..., Any]]:
            calls[number] = calls.get(number, 0) + 1
            return None

        def nothing() -> None:
            pass

        assert sys.gettrace() is None
        sys.settrace(trace)
        try:
            gort.gosched()
            nothing()
            gort.gosched()
        finally:
            sys.settrace(None)

    everywhere(4, body)
    assert calls == {0: 1, 1: 1, 2: 1, 3: 1}


def test_deep_recursion_is_an_exception() -> None:
    """The recursion limit is reached before the stack ends; and what needs much stack works."""

    def down(depth: int) -> int:
        return 0 if depth == 0 else 1 + down(depth - 1)

    def body(number: int) -> None:
        assert down(500) == 500
        for _ in range(2):
            try:
                down(10**6)
            except RecursionError:
                pass
            else:
                raise AssertionError("no RecursionError")
        nested: Any = []
        for _ in range(100_000):
            nested = [nested]
        try:
            repr(nested)
        except RecursionError:
            pass
        else:
            raise AssertionError("no RecursionError")
        while nested:
            nested = nested[0]
        compile("(" * 80 + ")" * 80, "<test>", "eval")

    everywhere(3, body)


def test_asynchronous_exceptions_find_a_goroutine() -> None:
    """PyThreadState_SetAsyncExc takes the key under which sys._current_frames() shows a goroutine."""
    import ctypes

    caught: list[str] = []

    def waits_for_it() -> None:
        try:
            while True:
                gort.sleep(0.001)
        except KeyError:
            caught.append("KeyError")

    gort.go(waits_for_it)

    def find() -> Optional[int]:
        for ident, frame in sys._current_frames().items():
            if frame.f_code.co_name == "waits_for_it":
                return ident
        return None

    wait_for(lambda: find() is not None)
    ident = find()
    assert ident is not None
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyError)) == 1
    wait_for(lambda: caught == ["KeyError"])


def test_imports_in_goroutines() -> None:
    def body(number: int) -> None:
        import json
        import sqlite3  # noqa: F401

        assert json.loads(json.dumps({"number": number})) == {"number": number}

    everywhere(5, body)
