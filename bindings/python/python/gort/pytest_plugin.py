"""For pytest: tests in goroutines, deadlocks as failures, and a check for goroutines that are left behind.

    @pytest.mark.gort_run      the test is main: a deadlock raises gort.Deadlock, with all goroutines
    @pytest.mark.gort_leaks    it fails if more goroutines are left after it than there were before

``--gort-run`` and ``--gort-leaks``, or ``gort_run = true`` and ``gort_leaks = true`` in the configuration, do that for
all tests; the marks with ``False`` except one: ``@pytest.mark.gort_leaks(False)``. A goroutine that is about to end has
``gort_grace`` seconds (5) to do so. Coroutine functions are left alone.

The one thing to know: pytest loads this wherever gort is installed, so gort itself is imported only when it is needed.
"""

from __future__ import annotations

import inspect
import io
import time
from typing import TYPE_CHECKING, Optional

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

GRACE = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gort")
    group.addoption("--gort-run", action="store_true", default=None, help="run each test as gort.run() does")
    group.addoption("--gort-leaks", action="store_true", default=None, help="fail tests that leave goroutines behind")
    parser.addini("gort_run", "run each test as gort.run() does", type="bool", default=False)
    parser.addini("gort_leaks", "fail tests that leave goroutines behind", type="bool", default=False)
    parser.addini("gort_grace", "seconds that goroutines have to end in after a test", default=str(GRACE))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gort_run(on=True): run the test as gort.run() does: a deadlock is a failure")
    config.addinivalue_line("markers", "gort_leaks(on=True): fail the test if it leaves goroutines behind")


def _wanted(item: pytest.Item, name: str) -> bool:
    mark = item.get_closest_marker(name)
    if mark is not None:
        return bool(mark.kwargs.get("on", mark.args[0] if mark.args else True))
    option = item.config.getoption(name)
    return bool(item.config.getini(name) if option is None else option)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Optional[bool]:
    if not _wanted(pyfuncitem, "gort_run") or inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    import gort

    names = pyfuncitem._fixtureinfo.argnames
    gort.run(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, None]:
    if not _wanted(item, "gort_leaks"):
        yield
        return
    import gort

    before = gort.num_goroutines()
    outcome = yield
    # A test that has failed says so, and is expected to leave things behind.
    if getattr(outcome, "excinfo", None) is None:
        left = _left(before, float(item.config.getini("gort_grace")))
        if left:
            text = io.StringIO()
            gort.dump(text)
            _fail(outcome, f"{left} goroutine(s) left behind by the test\n\n{text.getvalue()}")


def _left(before: int, grace: float) -> int:
    """How many more there are than before, when they have had time to end."""
    import gort

    end = time.monotonic() + grace
    while True:
        left = gort.num_goroutines() - before
        if left <= 0 or time.monotonic() >= end:
            return max(left, 0)
        gort.sleep(0.001)


def _fail(outcome: object, text: str) -> None:
    try:
        pytest.fail(text, pytrace=False)
    except BaseException as error:
        outcome.force_exception(error)  # type: ignore[attr-defined]
