"""A pool of workers whose tasks have a time limit, and that leaves no goroutine behind.

Each task gets a context with a timeout: one that waits, waits for its context as well, and gives up in time. `fetch`
calls code that knows nothing of contexts, in a goroutine of its own; when the limit has passed nobody receives the
answer any more, so its channel has room for one: the late sender puts it there and ends. Without that room it would
stay for ever. The last line counts who is left.
"""

from typing import Dict, Optional, Union

from gort import (
    Canceled,
    Chan,
    Context,
    DeadlineExceeded,
    RecvChan,
    SendChan,
    WaitGroup,
    go,
    gosched,
    num_goroutines,
    run,
    select,
)

WORKERS, TASKS = 3, 6


def is_slow(number: int) -> bool:
    return number % 3 == 0


def serve(number: int, gate: Optional[RecvChan[None]], reply: SendChan[int]) -> None:
    """Takes as long as it takes: if there is a gate, until that is opened."""
    if gate:
        gate.recv_ok()
    reply.send(number * number)


def fetch(ctx: Context, number: int, gate: Optional[RecvChan[None]]) -> int:
    answer: int
    reply = Chan[int](1)
    go(serve, number, gate, reply.tx)
    chosen, answer, _ = select(reply, ctx.done)
    if chosen == 1:
        raise ctx.err() or Canceled()
    return answer


def main() -> None:
    answers: Dict[int, Union[int, str]] = {}
    tasks, gate = Chan[int](), Chan[None]()  # the gate is closed: slow servers answer at last

    def work() -> None:
        for number in tasks:
            slow = is_slow(number)
            with Context.background().with_timeout(0.005 if slow else 60) as ctx:
                try:
                    answers[number] = fetch(ctx, number, gate.rx if slow else None)
                except DeadlineExceeded:
                    answers[number] = "timed out"

    workers = WaitGroup()
    for _ in range(WORKERS):
        workers.go(work)
    for number in range(1, TASKS + 1):
        tasks.send(number)
    tasks.close()
    workers.wait()
    for number, answer in sorted(answers.items()):
        print(f"task {number}: {answer}")

    gate.close()  # now the slow servers answer, and nobody listens
    while num_goroutines() > 1:
        gosched()
    print(f"goroutines left: {num_goroutines()}")


if __name__ == "__main__":
    run(main)
