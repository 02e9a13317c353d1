"""100,000 goroutines, each of which adds one to a counter behind a mutex.

A goroutine costs little more than the memory it touches, so a hundred thousand are nothing special.
"""

from gort import Mutex, WaitGroup, run

GOROUTINES = 100_000


class Counter:
    def __init__(self) -> None:
        self.lock = Mutex()
        self.value = 0

    def add_one(self) -> None:
        with self.lock:
            self.value += 1


def main() -> None:
    counter = Counter()
    everyone = WaitGroup()
    for _ in range(GOROUTINES):
        everyone.go(counter.add_one)
    everyone.wait()
    print(f"{GOROUTINES} goroutines counted to {counter.value}")


if __name__ == "__main__":
    run(main)
