"""The litmus test of the books: one goroutine sets x and reads y, the other sets y and reads x.

With a mutex the one section comes wholly before the other: whoever comes second sees the first one's store, and the
first cannot see the second one's. `gosched` in the middle lets the other in where nothing keeps it out.
"""

from collections import Counter

from gort import Mutex, WaitGroup, gosched, run

ROUNDS = 20_000


class Round:
    def __init__(self) -> None:
        self.lock = Mutex()
        self.x = self.y = self.saw_x = self.saw_y = 0

    def set_x(self) -> None:
        with self.lock:
            self.x = 1
            gosched()
            self.saw_y = self.y

    def set_y(self) -> None:
        with self.lock:
            self.y = 1
            gosched()
            self.saw_x = self.x


def main() -> None:
    seen: "Counter[int]" = Counter()
    for i in range(ROUNDS):
        this = Round()
        first, second = (this.set_x, this.set_y) if i % 2 else (this.set_y, this.set_x)
        both = WaitGroup()
        both.go(first)
        both.go(second)
        both.wait()
        seen[this.saw_x + this.saw_y] += 1
    print(f"{ROUNDS} rounds")
    print(f"one saw the other: {seen[1]}")
    print(f"neither saw the other: {seen[0]}")
    print(f"each saw the other: {seen[2]}")


if __name__ == "__main__":
    run(main)
