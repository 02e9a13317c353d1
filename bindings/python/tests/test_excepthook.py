"""What becomes of an exception that leaves a goroutine."""

from __future__ import annotations

import gort
import pytest
from helpers import child, wait_for


def test_default_prints_and_ends_with_status_2() -> None:
    done = child(
        """
        import time, gort
        def broken(value):
            raise ValueError(value)
        def starter():
            print("printed before", end="")
            gort.go(broken, "the message")
        starter()
        time.sleep(60)
        print("not reached")
        """
    )
    assert done.returncode == 2
    assert done.stdout == "printed before"
    assert "Traceback (most recent call last):" in done.stderr
    assert "in broken" in done.stderr
    assert "ValueError: the message" in done.stderr
    assert "goroutine started at:" in done.stderr
    assert 'line 7, in starter' in done.stderr


def test_hook_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[gort.ExceptHookArgs] = []
    monkeypatch.setattr(gort, "excepthook", seen.append)

    def broken() -> None:
        raise KeyError("key")

    gort.go(broken)
    wait_for(lambda: len(seen) == 1)
    args = seen[0]
    assert args.exc_type is KeyError
    assert isinstance(args.exc_value, KeyError)
    assert args.exc_traceback is not None
    assert args.goroutine > 0
    assert args.created is not None
    file, line, name = args.created
    assert file == __file__ and line > 0 and name == "test_hook_gets_everything"


def test_the_default_stays_reachable() -> None:
    assert gort.excepthook is gort.__excepthook__


def test_system_exit_ends_the_goroutine_alone() -> None:
    done = child(
        """
        import sys, time, gort
        gort.go(sys.exit, 7)
        while gort.num_goroutines():
            time.sleep(0.001)
        print("still here")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "still here\n", "")


def test_a_hook_that_fails_falls_back_to_the_default() -> None:
    done = child(
        """
        import time, gort
        def hook(args):
            raise TypeError("the hook is broken")
        gort.excepthook = hook
        def broken():
            raise ValueError("first")
        gort.go(broken)
        time.sleep(60)
        """
    )
    assert done.returncode == 2
    assert "TypeError: the hook is broken" in done.stderr
    assert "ValueError: first" in done.stderr


def test_go_on_after_the_hook_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def hook(args: gort.ExceptHookArgs) -> None:
        nonlocal count
        count += 1

    monkeypatch.setattr(gort, "excepthook", hook)

    def broken() -> None:
        gort.gosched()
        raise RuntimeError

    for _ in range(100):
        gort.go(broken)
    wait_for(lambda: count == 100 and gort.num_goroutines() == 0)
