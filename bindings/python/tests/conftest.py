"""Fixtures."""

from __future__ import annotations

import signal
from typing import Any, Iterator

import pytest
from crew import KINDS, Crew

# The programs that tests start inherit what is ignored, and a shell without job control has what it starts with `&` ignore
# these two.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(params=KINDS)
def crew(request: Any) -> Iterator[Crew]:
    """People who work at the same time: threads, then goroutines. At the end of the test all have finished."""
    people = Crew(request.param)
    yield people
    people.join()
