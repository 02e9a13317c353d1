"""signal_notify and signal_stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Callable

import pytest

import gort
from gort import Chan, signal_notify, signal_stop
from starting import KINDS, LONG, Task, until

Start = Callable[..., Task]


@pytest.fixture(params=sorted(KINDS))
def start(request: pytest.FixtureRequest) -> Start:
    return KINDS[request.param]


def me(signo: int) -> None:
    os.kill(os.getpid(), signo)


def test_a_signal_arrives(start: Start) -> None:
    ch = Chan[int](4)
    signal_notify(ch, signal.SIGUSR1, signal.SIGUSR2)
    try:
        me(signal.SIGUSR1)
        assert start(ch.recv, LONG).join() is signal.SIGUSR1
        me(signal.SIGUSR2)
        assert ch.recv(timeout=LONG) is signal.SIGUSR2
    finally:
        signal_stop(ch)


def test_all_who_want_it_get_it_once() -> None:
    first, second = Chan[int](4), Chan[int](4)
    signal_notify(first, signal.SIGUSR1)
    signal_notify(first, signal.SIGUSR1)
    signal_notify(second.tx, signal.SIGUSR1)
    try:
        me(signal.SIGUSR1)
        assert first.recv(timeout=LONG) == second.recv(timeout=LONG) == signal.SIGUSR1
        signal_stop(first)
        me(signal.SIGUSR1)
        assert second.recv(timeout=LONG) == signal.SIGUSR1
        assert len(first) == 0
    finally:
        signal_stop(first)
        signal_stop(second.tx)


def test_a_full_or_closed_channel_misses_it() -> None:
    full, closed, seen = Chan[int](1), Chan[int](1), Chan[int](10)
    for ch in (full, closed, seen):
        signal_notify(ch, signal.SIGUSR1)
    try:
        closed.close()
        for _ in range(3):
            me(signal.SIGUSR1)
            seen.recv(timeout=LONG)
        assert len(full) == 1
    finally:
        for ch in (full, closed, seen):
            signal_stop(ch)


def test_after_stop_none_arrives_and_all_is_as_before() -> None:
    seen: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda signo, _: seen.append(signo))
    try:
        ch = Chan[int](4)
        signal_notify(ch, signal.SIGUSR1)
        me(signal.SIGUSR1)
        assert ch.recv(timeout=LONG) == signal.SIGUSR1
        # A handler of the program is called too.
        until(lambda: len(seen) == 1)
        signal_stop(ch)
        me(signal.SIGUSR1)
        until(lambda: len(seen) == 2)
        assert len(ch) == 0
        signal_stop(ch)
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_what_was_counted_is_sent_before_stop_returns() -> None:
    ch = Chan[int](4)
    signal_notify(ch, signal.SIGUSR1)
    me(signal.SIGUSR1)
    signal_stop(ch)
    # Either the relay has it, or it was sent; a moment later it is there in either case, or it never was lost.
    assert ch.recv(timeout=LONG) == signal.SIGUSR1


def test_a_channel_and_its_view_are_the_same() -> None:
    ch = Chan[int](4)
    signal_notify(ch.tx, signal.SIGUSR1)
    signal_notify(ch, signal.SIGUSR1)
    me(signal.SIGUSR1)
    assert ch.recv(timeout=LONG) == signal.SIGUSR1
    signal_stop(ch)
    assert len(ch) == 0
    # Nobody wants it any more: it would end the process.
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert _catches(signal.SIGUSR1) is False


def _catches(signo: int) -> bool:
    with open("/proc/self/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signo - 1) & 1)


def test_what_cannot_be() -> None:
    ch = Chan[int](1)
    for bad in (0, -1, 4711, signal.SIGKILL, signal.SIGSEGV):
        with pytest.raises(ValueError):
            signal_notify(ch, bad)
    for args in ((), (ch,), (ch, "INT"), (None, 10), (ch, None), (ch.rx, 10)):
        with pytest.raises(TypeError):
            signal_notify(*args)
    with pytest.raises(TypeError):
        signal_stop(None)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        signal_notify(ch, 1 << 70)
    signal_stop(ch)


def run(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, timeout=LONG
    )


def test_sigint_on_a_channel_is_no_keyboard_interrupt() -> None:
    done = run(
        """
        import gort, os, signal, time
        ch = gort.Chan(1)
        gort.signal_notify(ch, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        print(repr(ch.recv(timeout=60)))
        gort.signal_stop(ch)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["<Signals.SIGINT:", "2>", "interrupted"]
    assert done.returncode == 0


def test_exit_and_fork_with_a_registration() -> None:
    done = run(
        """
        import gort, os, signal, warnings
        warnings.simplefilter("ignore")
        ch = gort.Chan(1)
        gort.signal_notify(ch, signal.SIGUSR1)
        pid = os.fork()
        if pid == 0:
            own = gort.Chan(1)
            gort.signal_notify(own, signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGUSR2)
            assert own.recv(timeout=60) == signal.SIGUSR2
            assert len(ch) == 0
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
        os.kill(os.getpid(), signal.SIGUSR1)
        assert ch.recv(timeout=60) == signal.SIGUSR1
        print("done")
        """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_references_are_as_before() -> None:
    ch = Chan[int](1)
    before = sys.getrefcount(ch)
    for _ in range(5):
        signal_notify(ch, signal.SIGUSR1, signal.SIGUSR2)
        with pytest.raises(ValueError):
            signal_notify(ch, 4711)
        signal_stop(ch)
    assert sys.getrefcount(ch) == before
