"""How many goroutines are there? `num_goroutines` says, main included: a quick check that a program leaves none
behind. One that has told its wait group that it is done may still be counted for a moment, so who compares, waits.
"""

from gort import Chan, WaitGroup, gosched, num_goroutines, run

GOROUTINES = 100


def main() -> None:
    gate = Chan[None]()
    everyone = WaitGroup()
    print(f"at first: {num_goroutines()}")
    for _ in range(GOROUTINES):
        everyone.go(gate.recv_ok)
    print(f"with {GOROUTINES} who wait: {num_goroutines()}")

    gate.close()
    everyone.wait()
    while num_goroutines() > 1:
        gosched()
    print(f"when they are gone: {num_goroutines()}")


if __name__ == "__main__":
    run(main)
