"""Fixtures."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from crew import KINDS, Crew


@pytest.fixture(params=KINDS)
def crew(request: Any) -> Iterator[Crew]:
    """People who work at the same time: threads, then goroutines. At the end of the test all have finished."""
    people = Crew(request.param)
    yield people
    people.join()
