"""stats, dump, and python -m gort."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

import pytest

import gort
from starting import LONG, until


def test_stats_count() -> None:
    before = gort.stats()
    assert isinstance(before, gort.Stats)
    gate = gort.Chan[int]()
    for _ in range(50):
        gort.go(gate.recv)
    until(lambda: gort.stats().parks >= before.parks + 50)
    during = gort.stats()
    assert during.spawned >= before.spawned + 50
    assert during.goroutines >= 50
    assert during.threads >= 1
    assert during.stack_bytes > 0
    assert gort.num_goroutines() >= 50
    for _ in range(50):
        gate.send(1)
    until(lambda: gort.stats().goroutines <= during.goroutines - 50)
    assert gort.stats().wakeups >= before.wakeups + 50
    with pytest.raises(AttributeError):
        before.parks = 1  # type: ignore[misc]


@pytest.fixture
def parked() -> Any:
    mutex = gort.Mutex()
    mutex.lock()

    def waits_for_the_mutex() -> None:
        with mutex:
            pass

    parks = gort.stats().parks
    gort.go(waits_for_the_mutex)
    until(lambda: gort.stats().parks > parks)
    yield
    mutex.unlock()


def test_dump_to_all_kinds_of_files(parked: None, capfd: pytest.CaptureFixture[str]) -> None:
    text = io.StringIO()
    gort.dump(text)
    assert "sync.Mutex.Lock" in text.getvalue()
    data = io.BytesIO()
    gort.dump(data)
    assert b"sync.Mutex.Lock" in data.getvalue()
    with tempfile.TemporaryFile("w+") as file:
        file.write("before\n")
        gort.dump(file)
        gort.dump(file.fileno())
        file.seek(0)
        content = file.read()
    assert content.startswith("before\n")
    assert content.count("[sync.Mutex.Lock") >= 2
    gort.dump()
    assert "sync.Mutex.Lock" in capfd.readouterr().err


def test_dump_from_a_goroutine(parked: None) -> None:
    texts = gort.Chan[str](1)

    def work() -> None:
        text = io.StringIO()
        gort.dump(text)
        texts.send(text.getvalue())

    gort.go(work)
    assert "sync.Mutex.Lock" in texts.recv(timeout=LONG)


def test_dump_to_what_cannot_be_written() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        gort.dump(write)
    os.close(write)
    with pytest.raises(OSError):
        gort.dump(write)
    with pytest.raises((ValueError, OSError)):
        gort.dump(-1)


def run(*args: str) -> str:
    done = subprocess.run([sys.executable, "-m", "gort", *args], capture_output=True, text=True, timeout=LONG)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def test_the_command_says_what_is_installed() -> None:
    text = run()
    for value in (gort.__version__, gort.get_library(), gort.get_include()):
        assert value in text
    assert json.loads(run("--json"))["library"] == gort.get_library()


def test_the_demo() -> None:
    text = run("demo")
    assert "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71" in text
    assert "channel 1 was first, with 'soon'" in text
    assert "worker 3 gives up" in text
