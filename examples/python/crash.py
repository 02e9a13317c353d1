"""An exception that nobody catches ends the whole process, not only its goroutine: the traceback and where the
goroutine was started on stderr, exit status 2. `finally` blocks of that goroutine still run first; those of others do
not. (safework.py turns the exception into an error instead; `gort.excepthook` may be replaced.)
"""

from gort import go, run, sleep


def work() -> None:
    try:
        raise RuntimeError("out of paper")
    finally:
        print("the deferred call runs", flush=True)  # the process will not come to its end in good order


def main() -> None:
    print("the worker starts", flush=True)
    go(work)
    sleep(3600)
    print("never printed")


if __name__ == "__main__":
    run(main)
