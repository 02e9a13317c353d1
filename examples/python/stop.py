"""Three ways to stop a goroutine that works for ever: a flag behind a mutex, which it looks at before each round; a
channel that is closed, which ends even its sleep between rounds; and a context, which is such a channel and more: it
may end by a deadline or with its parent, and says why. Nobody can stop a goroutine from outside: it must look.
"""

from contextlib import suppress

from gort import Canceled, Chan, Closed, Context, Mutex, RecvChan, SendChan, WaitGroup, WouldBlock, run, sleep


class Flag:
    def __init__(self) -> None:
        self.lock = Mutex()
        self.stop = False


def tick(rounds: SendChan[None]) -> None:
    """One round of work. Main watches how many there are, but nobody waits for it."""
    with suppress(WouldBlock):
        rounds.try_send(None)


def work_while_no_flag(rounds: SendChan[None], flag: Flag) -> None:
    while True:
        with flag.lock:
            if flag.stop:
                return
        tick(rounds)
        sleep(0.001)


def work_until_done(rounds: SendChan[None], done: RecvChan[None]) -> None:
    while True:
        tick(rounds)
        # Sleeps for an hour, or until somebody closes the channel. Nobody ever sends on it.
        with suppress(TimeoutError):
            _, ok = done.recv_ok(timeout=3600)
            if not ok:
                return


def work_while_wanted(rounds: SendChan[None], ctx: Context) -> None:
    while not ctx.err():
        tick(rounds)
        with suppress(Closed, TimeoutError):
            ctx.done.recv(timeout=0.001)


def main() -> None:
    running = WaitGroup()

    rounds, flag = Chan[None](1), Flag()
    running.go(work_while_no_flag, rounds.tx, flag)
    for _ in range(3):
        rounds.recv()
    with flag.lock:
        flag.stop = True
    running.wait()
    print("stopped by a flag after at least 3 rounds")

    rounds, done = Chan[None](1), Chan[None]()
    running.go(work_until_done, rounds.tx, done.rx)
    rounds.recv()
    done.close()
    running.wait()
    print("stopped by a closed channel, in its sleep")

    rounds, parent = Chan[None](1), Context.background().with_cancel()
    with parent.with_timeout(60) as ctx:
        running.go(work_while_wanted, rounds.tx, ctx)
        for _ in range(3):
            rounds.recv()
        parent.cancel()
        running.wait()
        why = "cancelled" if isinstance(ctx.err(), Canceled) else "timed out"
        print(f"stopped by a context, whose parent was cancelled: {why}")


if __name__ == "__main__":
    run(main)
