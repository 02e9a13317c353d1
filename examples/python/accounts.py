"""One bank account, four guards. A mutex: one at a time. A read-write mutex: readers together. A semaphore of one
permit: a mutex, which somebody else may give back. A monitor in the sense of Hoare: a mutex and a condition variable
inside, so that who finds too little money waits for a deposit. (bank.py has the fifth: a goroutine that alone touches
the money.)

`gosched` in the middle of a change lets the others in, so that a guard that did not guard would be seen.
"""

from typing import Callable

from gort import Cond, Mutex, RWMutex, Semaphore, WaitGroup, gosched, run

PEOPLE, TIMES, SALARY = 20, 500, 3


class Account:
    def __init__(self) -> None:
        self.mutex = Mutex()
        self.rwmutex = RWMutex()
        self.semaphore = Semaphore(1)
        self.richer = Cond(self.mutex)  # the balance has grown
        self.balance = 0

    def add_salary(self) -> None:
        balance = self.balance
        self.balance = balance + 1  # nobody else sees a balance between two salaries
        gosched()
        self.balance = balance + SALARY

    def deposit_with_mutex(self) -> None:
        with self.mutex:
            self.add_salary()

    def deposit_with_rwmutex(self) -> None:
        with self.rwmutex.write():
            self.add_salary()

    def read_with_rwmutex(self) -> None:
        with self.rwmutex.read():
            if self.balance % SALARY:
                print(f"read half a deposit: {self.balance}")

    def deposit_with_semaphore(self) -> None:
        self.semaphore.acquire()
        self.add_salary()
        self.semaphore.release()

    def earn(self) -> None:
        with self.mutex:
            self.add_salary()
            self.richer.broadcast()

    def spend(self) -> None:
        with self.mutex:
            while self.balance < SALARY:  # looked at again: another may have been quicker
                self.richer.wait()
            self.balance -= SALARY


def try_guard(
    guard: str, account: Account, one: Callable[[Account], None], other: Callable[[Account], None]
) -> None:
    """Half of the people do the one thing, half the other."""

    def live(act: Callable[[Account], None]) -> None:
        for _ in range(TIMES):
            act(account)

    people = WaitGroup()
    for i in range(PEOPLE):
        people.go(live, one if i % 2 else other)
    people.wait()
    print(f"{guard}: balance {account.balance}")


def main() -> None:
    try_guard("mutex, 20 depositors", Account(), Account.deposit_with_mutex, Account.deposit_with_mutex)
    try_guard(
        "rwmutex, 10 depositors and 10 readers", Account(), Account.deposit_with_rwmutex, Account.read_with_rwmutex
    )
    try_guard("semaphore, 20 depositors", Account(), Account.deposit_with_semaphore, Account.deposit_with_semaphore)
    try_guard("monitor, 10 earners and 10 spenders", Account(), Account.earn, Account.spend)


if __name__ == "__main__":
    run(main)
