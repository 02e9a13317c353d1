"""Stages of work in a row: numbers flow through multiply, add and multiply, each a goroutine that runs `stage` with
another function. The source never ends; main takes what it needs and closes `done`, on which every stage waits
besides, so none is left behind, blocked on a send that nobody receives.
"""

import operator
from itertools import count
from typing import Callable

from gort import Chan, RecvChan, SendChan, WaitGroup, run, select


def generate(done: RecvChan[None], out: SendChan[int]) -> None:
    for value in count(1):
        chosen, _, _ = select((out, value), done)
        if chosen == 1:
            return


def stage(
    done: RecvChan[None], numbers: RecvChan[int], out: SendChan[int], work: Callable[[int, int], int], operand: int
) -> None:
    while True:
        chosen, value, _ = select(numbers, done)
        if chosen == 1:
            return
        chosen, _, _ = select((out, work(value, operand)), done)
        if chosen == 1:
            return


def main() -> None:
    stages = WaitGroup()
    done = Chan[None]()
    numbers = Chan[int]()
    stages.go(generate, done.rx, numbers.tx)
    for work, operand in [(operator.mul, 2), (operator.add, 1), (operator.mul, 2)]:
        out = Chan[int]()
        stages.go(stage, done.rx, numbers.rx, out.tx, work, operand)
        numbers = out

    for i in range(1, 6):
        print(f"({i} * 2 + 1) * 2 = {numbers.recv()}")
    done.close()
    stages.wait()
    print("all stages have stopped")


if __name__ == "__main__":
    run(main)
