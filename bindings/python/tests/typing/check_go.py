"""What mypy --strict must accept and refuse; test_typing.py runs it. `type: ignore` that is not needed is an error."""

from __future__ import annotations

from typing import NoReturn

import gort


def add(a: int, b: int = 0) -> int:
    return a + b


gort.go(add, 1)
gort.go(add, 1, b=2)
gort.go(add, "1")  # type: ignore[arg-type]
gort.go(add)  # type: ignore[call-arg]
gort.go(add, 1, c=2)  # type: ignore[call-arg]

total: int = gort.run(add, 1, b=2)
word: str = gort.run(add, 1)  # type: ignore[assignment]


def hook(args: gort.ExceptHookArgs) -> None:
    kind: type[BaseException] = args.exc_type
    number: int = args.goroutine
    del kind, number


gort.excepthook = hook


def never() -> NoReturn:
    raise SystemExit


gort.go(never)
