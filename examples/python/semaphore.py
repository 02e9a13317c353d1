"""A binary semaphore from a channel of capacity 1: the token in the buffer is the right to go on. Sending it takes
the semaphore, receiving it gives it back; whoever finds the buffer full waits. (`gort.Semaphore` is the real one.)
"""

from gort import Chan, WaitGroup, gosched, run

GOROUTINES, ROUNDS = 50, 200


class Account:
    def __init__(self) -> None:
        self.semaphore = Chan[None](1)
        self.balance = 0
        self.inside = 0  # goroutines in the guarded part: never more than one
        self.most_inside = 0

    def deposit(self) -> None:
        for _ in range(ROUNDS):
            self.semaphore.send(None)  # take
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            balance = self.balance
            gosched()  # let the others try
            self.balance = balance + 1
            self.inside -= 1
            self.semaphore.recv()  # give back


def main() -> None:
    account = Account()
    everyone = WaitGroup()
    for _ in range(GOROUTINES):
        everyone.go(account.deposit)
    everyone.wait()
    print(f"{GOROUTINES} goroutines made {ROUNDS} deposits each: balance {account.balance}")
    print(f"at most {account.most_inside} was inside at a time")


if __name__ == "__main__":
    run(main)
