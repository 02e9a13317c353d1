"""Safe work: an exception in one job becomes that job's error, and the other jobs go on.

`Executor` is a `concurrent.futures.Executor` whose workers are goroutines: what a job returns or raises waits in its
future for whoever asks. (crash.py shows what happens where nobody can ask.)
"""

from gort import Executor, run

JOBS = 5


def divide(a: int, b: int) -> int:
    if b == 0:
        raise ZeroDivisionError("integer divide by zero")
    return a // b


def work(number: int, divisor: int) -> int:
    if number == 4:
        raise RuntimeError("out of paper")
    return divide(100, divisor)


def main() -> None:
    divisors = {number: 0 if number == 3 else number for number in range(1, JOBS + 1)}
    with Executor() as pool:
        futures = {number: pool.submit(work, number, divisor) for number, divisor in divisors.items()}
    for number, future in futures.items():
        try:
            print(f"job {number}: 100 / {divisors[number]} = {future.result()}")
        except Exception as error:
            print(f"failed: job {number}: {error}")


if __name__ == "__main__":
    run(main)
