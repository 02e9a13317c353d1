"""Two leaks, each with the version that does not leak, and how they are found.

1. first_of_three asks three mirrors and takes the first answer. Its channel has no room: the other two wait for ever
   for somebody to take theirs. With room for all three, they leave their answer there and end.
2. A worker reads jobs until the channel is closed. Nobody closes it.

They are found by counting: when all is done, who is left? (`gort.dump` shows where each of them waits; the pytest
plugin counts after each test.)
"""

from gort import Chan, RecvChan, SendChan, go, num_goroutines, run, sleep

TIMES = 10
PATIENCE = 2.5  # seconds: goroutines that are about to wait, or to end, are given the time to


def ask(mirror: int, answers: SendChan[int]) -> None:
    answers.send(10 * mirror)


def first_of_three(room: int) -> int:
    answers = Chan[int](room)
    for mirror in (1, 2, 3):
        go(ask, mirror, answers.tx)
    return answers.recv()


def square(jobs: RecvChan[int], results: SendChan[int]) -> None:
    for job in jobs:
        results.send(job * job)


def sum_of_squares(n: int, close: bool) -> int:
    jobs, results = Chan[int](), Chan[int]()
    go(square, jobs.rx, results.tx)
    total = 0
    for i in range(1, n + 1):
        jobs.send(i)
        total += results.recv()
    if close:
        jobs.close()
    return total


def check(what: str, known: int) -> int:
    """Prints whether there are more goroutines than `known`; returns how many there are."""
    waited = 0.0
    while num_goroutines() > known and waited < PATIENCE:
        sleep(0.005)
        waited += 0.005
    print(f"{what}: found leaked goroutines: {'yes' if num_goroutines() > known else 'no'}")
    return num_goroutines()


def main() -> None:
    answers = [first_of_three(3) for _ in range(TIMES)]
    squares = sum(sum_of_squares(4, close=True) for _ in range(TIMES))
    print(f"{len(answers)} answers, squares: {squares}")
    left = check("safe", 1)
    answers += [first_of_three(0) for _ in range(TIMES)]
    left = check("the first of three, without room", left)
    squares += sum(sum_of_squares(4, close=False) for _ in range(TIMES))
    check("a pool that nobody closes", left)
    print(f"{len(answers)} answers, squares: {squares}")


if __name__ == "__main__":
    run(main)
