"""The types: mypy --strict on the package and on programs that use it; stubtest holds the stub against the module."""

from __future__ import annotations

import os
import subprocess
import sys

import gort
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(os.path.abspath(gort.__file__))


def run(*command: str) -> None:
    # From a directory of its own: mypy takes what lies in the current one for modules.
    environment = {**os.environ, "MYPYPATH": os.path.dirname(PACKAGE), "MYPY_CACHE_DIR": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=600, env=environment, cwd=HERE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_strict() -> None:
    pytest.importorskip("mypy")
    programs = [os.path.join(HERE, "typing", name) for name in sorted(os.listdir(os.path.join(HERE, "typing")))]
    run("mypy", "--strict", "--python-version", "%d.%d" % max(sys.version_info[:2], (3, 10)), PACKAGE, *programs)


def test_stubtest() -> None:
    pytest.importorskip("mypy")
    run("mypy.stubtest", "gort._gort", "--ignore-missing-stub")
