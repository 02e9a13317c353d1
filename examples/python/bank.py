"""A monitor goroutine guards a bank balance: it alone touches the variable. Others send it requests; one that wants
an answer sends a channel for the reply along. The monitor serves them all in one select.
"""

from typing import Callable, NamedTuple

from gort import Chan, SendChan, WaitGroup, run, select


class Withdrawal(NamedTuple):
    amount: int
    reply: SendChan[bool]  # paid, or refused for want of money


class Bank:
    def __init__(self) -> None:
        self.deposits = Chan[int]()
        self.withdrawals = Chan[Withdrawal]()
        self.balances = Chan[int]()  # what is there now
        self.closing = Chan[None]()  # closed when the bank shuts

    def monitor(self) -> None:
        balance = 0
        while True:
            chosen, request, _ = select(self.deposits, self.withdrawals, (self.balances, balance), self.closing)
            if chosen == 0:
                balance += request
            elif chosen == 1:
                paid = request.amount <= balance
                if paid:
                    balance -= request.amount
                request.reply.send(paid)
            elif chosen == 3:
                return

    def withdraw(self, amount: int) -> bool:
        reply = Chan[bool]()
        self.withdrawals.send(Withdrawal(amount, reply.tx))
        return reply.recv()


def visit_all(customers: int, visit: Callable[[], None]) -> None:
    visitors = WaitGroup()
    for _ in range(customers):
        visitors.go(visit)
    visitors.wait()


def main() -> None:
    bank = Bank()
    monitors = WaitGroup()
    monitors.go(bank.monitor)

    def save() -> None:
        for _ in range(10):
            bank.deposits.send(10)

    visit_all(10, save)
    print(f"ten customers saved ten times 10: balance {bank.balances.recv()}")

    refusals = Chan[int](10)

    def spend() -> None:
        if not bank.withdraw(300):
            refusals.send(300)

    visit_all(4, spend)
    print(f"four wanted 300 at once, refused {len(refusals)}: balance {bank.balances.recv()}")

    bank.closing.close()
    monitors.wait()


if __name__ == "__main__":
    run(main)
