"""Icons that are loaded when first asked for: a thousand goroutines ask at once, `Once.do` loads them once.

Those who come while they are being loaded wait; afterwards it costs one look. All see the table complete, for the end
of the loading comes before every return of `do`.
"""

from typing import Dict, List

from gort import Once, WaitGroup, run, sleep

READERS = 1000
NAMES = ["spades", "hearts", "diamonds", "clubs"]


class Icons:
    def __init__(self) -> None:
        self.once = Once()
        self.loads = 0
        self.pictures: Dict[str, str] = {}

    def load(self) -> None:
        for name in NAMES:
            sleep(0.001)  # the disk is slow
            self.pictures[name] = f"picture of {name}"
        self.loads += 1

    def get(self, name: str) -> str:
        self.once.do(self.load)
        return self.pictures[name]


def main() -> None:
    icons = Icons()
    right: List[bool] = []
    print(f"loaded before anybody asks: {icons.loads} times")

    def read_one(name: str) -> None:
        right.append(icons.get(name) == f"picture of {name}")

    readers = WaitGroup()
    for i in range(READERS):
        readers.go(read_one, NAMES[i % len(NAMES)])
    readers.wait()
    print(f"readers who got their icon: {right.count(True)}, who did not: {right.count(False)}")
    print(f"loaded: {icons.loads} time")


if __name__ == "__main__":
    run(main)
