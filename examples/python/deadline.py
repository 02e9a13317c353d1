"""A search with a deadline: two goroutines try numbers until one has the hash that is asked for.

Whoever finds it sends it, and the context is cancelled, which stops the other; if nobody finds it in time, the
context's deadline stops both. A goroutine is never stopped from outside: it looks at its context now and then.
"""

from itertools import count
from typing import Union

from gort import Canceled, Chan, Context, DeadlineExceeded, Group, SendChan, gosched, run, select

SEARCHERS = 2
MASK = (1 << 64) - 1


def hash64(n: int) -> int:
    """No two numbers below 2**64 have the same."""
    n = (n ^ n >> 31) * 0x9E3779B97F4A7C15 & MASK
    return n ^ n >> 29


def look(ctx: Context, found: SendChan[int], wanted: int, first: int) -> None:
    for n in count(first, SEARCHERS):
        if n % 4096 < SEARCHERS:
            if ctx.err():
                return
            gosched()
        if hash64(n) == wanted:
            found.send(n)
            return


def find(parent: Context, wanted: int, seconds: float) -> int:
    n: int
    found = Chan[int](1)
    with parent.with_timeout(seconds) as ctx, Group(ctx) as searchers:
        for first in range(SEARCHERS):
            searchers.go(look, ctx, found.tx, wanted, first)
        chosen, n, _ = select(found, ctx.done)
        if chosen == 1:
            raise ctx.err() or Canceled()
        ctx.cancel()
        return n


def report(what: str, parent: Context, wanted: int, seconds: float) -> None:
    answer: Union[int, str]
    try:
        answer = find(parent, wanted, seconds)
    except DeadlineExceeded:
        answer = "timed out"
    except Canceled:
        answer = "cancelled"
    print(f"{what}: {answer}")


def main() -> None:
    ctx = Context.background().with_cancel()
    report("the number with the hash of 271828", ctx, hash64(271828), 60)
    report("one that is far away, in 20 ms", ctx, hash64(1 << 60), 0.020)
    ctx.cancel()
    report("one after everything was cancelled", ctx, hash64(1), 60)


if __name__ == "__main__":
    run(main)
