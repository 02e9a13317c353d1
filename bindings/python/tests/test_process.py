"""The end of the interpreter, fork, subinterpreters."""

from __future__ import annotations

import os
import sys
import time

import gort
import pytest
from helpers import LONG, child, wait_for


@pytest.mark.parametrize(
    "body",
    [
        "gort.sleep(60)",
        "time.sleep(60)",
        "while True: pass",
        "while True: gort.gosched()",
        "threading.Lock().acquire(); threading.Event().wait()",
        "open(os.pipe()[0]).read()",
    ],
)
def test_exit_with_goroutines(body: str) -> None:
    """At exit goroutines end like daemon threads: no hang, no crash, no output, no destructors."""
    done = child(
        f"""
        import os, threading, time, gort
        class Loud:
            def __del__(self):
                print("destroyed")
        def body(loud):
            {body}
        for _ in range(8):
            gort.go(body, Loud())
        time.sleep(0.2)
        print("end of main")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end of main\n", "")


def test_exit_with_exception_in_main() -> None:
    done = child(
        """
        import gort
        gort.go(gort.sleep, 60)
        raise SystemExit(9)
        """
    )
    assert (done.returncode, done.stderr) == (9, "")


def test_go_at_exit_is_refused() -> None:
    done = child(
        """
        import atexit
        def late():
            try:
                gort.go(print, "never")
            except RuntimeError as problem:
                print(problem)
        atexit.register(late)
        import gort
        gort.go(print, "once", flush=True)
        gort.sleep(0.3)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\ncannot start a goroutine: the interpreter is ending\n"


def test_exit_while_goroutines_start_and_end() -> None:
    for _ in range(5):
        done = child(
            """
            import time, gort
            def again():
                gort.go(again)
                gort.gosched()
            for _ in range(20):
                gort.go(again)
            time.sleep(0.05)
            """
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_fork_in_the_main_thread() -> None:
    """A forked child starts afresh: the parent's goroutines are not there, its own run."""
    stop = False

    def parent() -> None:
        while not stop:
            gort.sleep(0.001)

    gort.go(parent)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert gort.num_goroutines() == 0
            assert gort.run(lambda: (gort.sleep(0.01), "child")[1]) == "child"
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    stop = True
    wait_for(lambda: gort.num_goroutines() == 0)


def test_fork_in_a_goroutine() -> None:
    done = child(
        """
        import os, sys, gort
        def forks():
            pid = os.fork()
            if pid == 0:
                # This is a plain thread now, with goroutines of its own.
                seen = []
                gort.go(seen.append, 1)
                while not seen:
                    gort.sleep(0.001)
                print("child", seen, end=" ")
                return
            print("status", os.waitpid(pid, 0)[1], flush=True)
        gort.run(forks)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "child [1] status 0\n", "")


def test_fork_and_exit_of_the_child() -> None:
    """The child leaves by the way of the interpreter's end."""
    done = child(
        """
        import os, sys, gort
        gort.go(gort.sleep, 60)
        gort.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            gort.go(gort.sleep, 60)
            gort.sleep(0.01)
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_multiprocessing_fork() -> None:
    done = child(
        """
        import multiprocessing, gort
        def work(n):
            return gort.run(lambda: n * n)
        if __name__ == "__main__":
            gort.run(lambda: None)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(work, range(5)))
        """
    )
    assert done.stdout == "[0, 1, 4, 9, 16]\n", done.stderr


def test_subinterpreters_are_refused() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    done = child(
        f"""
        import sys, {module} as interpreters
        import gort
        interpreter = interpreters.create()
        text = '''
        try:
            import gort
        except ImportError as problem:
            print("refused:", problem, flush=True)
        '''
        import textwrap
        text = "import sys; sys.path[:] = " + repr(sys.path) + chr(10) + textwrap.dedent(text)
        getattr(interpreters, "exec", None) and interpreters.exec(interpreter, text) or (
            hasattr(interpreters, "run_string") and not hasattr(interpreters, "exec")
            and interpreters.run_string(interpreter, text))
        print(gort.run(lambda: "still works"))
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: ")
    assert done.stdout.endswith("still works\n")


def test_import_and_nothing_else() -> None:
    done = child("import gort")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_time_to_exit() -> None:
    """A goroutine that never comes back costs a moment at exit, no more."""
    start = time.monotonic()
    assert child("import gort, time; gort.go(time.sleep, 60); time.sleep(0.1)").returncode == 0
    assert time.monotonic() - start < LONG / 2
