"""Stopping goroutines by closing a channel: three generators offer numbers for ever, each in a select that also
watches `quit`. Closing `quit` once is seen by all of them, however many there are.
"""

from itertools import count

from gort import Chan, RecvChan, SendChan, WaitGroup, run, select


def generate(out: SendChan[int], quit: RecvChan[None], step: int) -> None:
    for value in count(step, step):
        chosen, _, _ = select((out, value), quit)
        if chosen == 1:
            return


def main() -> None:
    running = WaitGroup()
    quit = Chan[None]()
    outs = [Chan[int]() for _ in range(3)]
    for step, out in enumerate(outs, start=1):
        running.go(generate, out.tx, quit.rx, step)
    for step, out in enumerate(outs, start=1):
        print(f"steps of {step}:", *(out.recv() for _ in range(5)))
    quit.close()
    running.wait()
    print("all generators have stopped")


if __name__ == "__main__":
    run(main)
