"""What the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from typing import Callable

import gort

#: So long a test waits for what must happen. It only says that nothing hangs.
LONG = 60.0


def wait_for(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait, in a goroutine or a thread, until the condition holds."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, f"waited {LONG} s for {what}"
        gort.sleep(0.001)


def child(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python text to its end."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
        env={**os.environ, **environment},
    )
