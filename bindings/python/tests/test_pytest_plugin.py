"""The pytest plugin, by tests that it makes fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

import gort
from starting import LONG

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(body: str, *args: str, status: int) -> str:
        (tmp_path / "test_it.py").write_text("import gort, pytest\n" + body)
        (tmp_path / "pytest.ini").touch()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args, str(tmp_path)]
        if not _installed():
            command[3:3] = ["-p", "gort.pytest_plugin"]
        # The package may have been found by a relative path.
        paths = [str(Path(gort.__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, cwd=tmp_path, env=env)
        text = done.stdout + done.stderr
        assert done.returncode == status, text
        return text

    return run


def _installed() -> bool:
    from importlib.metadata import distributions

    return any(point.value == "gort.pytest_plugin" for found in distributions() for point in found.entry_points)


LEAK = """
def test_leaks():
    gort.go(gort.Chan().recv)

def test_ends():
    done = gort.Chan(1)
    gort.go(gort.sleep, 0.02)
"""


def test_goroutines_left_behind(run: Run) -> None:
    assert "2 passed" in run(LEAK, status=0)
    text = run(LEAK, "--gort-leaks", "-o", "gort_grace=0.5", status=1)
    assert "1 goroutine(s) left behind by the test" in text
    assert "[chan receive" in text
    assert "1 failed, 1 passed" in text
    assert "1 failed, 1 passed" in run(LEAK, "-o", "gort_leaks=true", "-o", "gort_grace=0.5", status=1)
    marked = LEAK.replace("def test_leaks", "@pytest.mark.gort_leaks(False)\ndef test_leaks")
    assert "2 passed" in run(marked, "--gort-leaks", "--strict-markers", status=0)
    marked = LEAK.replace("def test_leaks", "@pytest.mark.gort_leaks\ndef test_leaks")
    assert "1 failed, 1 passed" in run(marked, "-o", "gort_grace=0.5", status=1)


def test_a_failure_is_told_and_not_the_leak(run: Run) -> None:
    body = "def test_fails():\n    gort.go(gort.Chan().recv)\n    assert 1 == 2\n"
    text = run(body, "--gort-leaks", "-o", "gort_grace=0.5", status=1)
    assert "assert 1 == 2" in text
    assert "left behind" not in text


DEADLOCK = """
@pytest.mark.gort_run
def test_deadlock(tmp_path):
    assert gort._gort.in_goroutine()
    assert tmp_path.is_dir()
    gort.Chan().recv()

@pytest.mark.gort_run
@pytest.mark.parametrize("n", [1, 2])
def test_works(n):
    ch = gort.Chan()
    gort.go(ch.send, n)
    assert ch.recv() == n

def test_outside():
    assert not gort._gort.in_goroutine()
"""


def test_a_deadlock_is_a_failure(run: Run) -> None:
    text = run(DEADLOCK, status=1)
    assert "1 failed, 3 passed" in text
    assert "Deadlock" in text
    assert "[chan receive" in text


def test_all_tests_as_main(run: Run) -> None:
    body = "async def test_left_alone():\n    pass\n\ndef test_in():\n    assert gort._gort.in_goroutine()\n"
    text = run(body, "--gort-run", "-k", "test_in", status=0)
    assert "1 passed" in text
