"""run: a main goroutine with the deadlock detector, and Ctrl-C."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time

import gort
import pytest
from helpers import LONG, child, wait_for


def test_result_and_exception() -> None:
    def add(a: int, b: int = 0) -> int:
        return a + b

    assert gort.run(add, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError) as caught:
        gort.run(lambda: 1 // 0)
    assert "<lambda>" in [entry.name for entry in caught.traceback]
    with pytest.raises(SystemExit) as ended:
        gort.run(sys.exit, 5)
    assert ended.value.code == 5


def test_not_in_a_goroutine_and_not_twice() -> None:
    def inner() -> None:
        with pytest.raises(RuntimeError):
            gort.run(lambda: None)

    gort.run(inner)

    def outer() -> None:
        failed: list[BaseException] = []

        def thread() -> None:
            try:
                gort.run(lambda: None)
            except RuntimeError as problem:
                failed.append(problem)

        other = threading.Thread(target=thread)
        other.start()
        other.join()
        assert len(failed) == 1

    gort.run(outer)


def wait_for_ever() -> None:
    """Receive from a channel of C that nobody else has."""
    library = ctypes.CDLL(gort.get_library())
    library.gort_chan_new.restype = ctypes.c_void_p
    channel = library.gort_chan_new(ctypes.c_size_t(0), ctypes.c_size_t(0))
    library.gort_chan_recv(ctypes.c_void_p(channel), None)


def test_deadlock_is_raised_with_the_dump() -> None:
    done = child(
        """
        import gort
        from test_run import wait_for_ever
        def main():
            gort.go(wait_for_ever)
            wait_for_ever()
        for _ in range(2):
            try:
                gort.run(main)
            except gort.Deadlock as problem:
                print(problem)
        print(gort.run(lambda: "runs again"))
        """,
        PYTHONPATH=":".join(sys.path),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("all goroutines are asleep - deadlock!") == 2
    # Two in the first dump; in the second all four.
    assert done.stdout.count("[chan receive") >= 4
    assert done.stdout.endswith("runs again\n")


def test_sleepers_and_threads_are_no_deadlock() -> None:
    def main() -> str:
        gort.sleep(0.2)
        lock = threading.Lock()
        lock.acquire()
        threading.Timer(0.2, lock.release).start()
        lock.acquire()
        return "awake"

    assert gort.run(main) == "awake"


@pytest.mark.parametrize("how", ["sleep", "run", "thread"])
def test_ctrl_c(how: str) -> None:
    """SIGINT raises KeyboardInterrupt in the main thread, whatever it waits for in gort."""
    waits = {
        "sleep": "gort.sleep(60)",
        "run": "gort.run(gort.sleep, 60)",
        "thread": "gort.run(lambda: time.sleep(60))",
    }
    done = child(
        f"""
        import os, signal, threading, time, gort
        sent = 0.0
        def interrupt():
            global sent
            sent = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.3, interrupt).start()
        try:
            {waits[how]}
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            # As long as 100 ms on a machine that is idle: here, long before it would have ended.
            assert time.monotonic() - sent < 20
        """
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_ctrl_c_takes_less_than_100_ms() -> None:
    """The best of some attempts: the machine may be busy."""
    best = LONG

    def alarm(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        for _ in range(10):
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(KeyboardInterrupt):
                gort.sleep(LONG)
            best = min(best, time.monotonic() - start - 0.05)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert best < 0.1


def test_handlers_run_while_the_main_thread_waits() -> None:
    """A handler that returns does not end the wait."""
    calls: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        start = time.monotonic()
        gort.sleep(0.5)
        assert time.monotonic() - start >= 0.5
        assert calls
        assert gort.run(lambda: (wait_for(lambda: len(calls) >= 10), 5)[1]) == 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
