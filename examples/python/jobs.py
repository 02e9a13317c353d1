"""A worker with a channel of jobs and a channel that says it is done.

Main sends five jobs and closes the channel; the worker's loop takes what is left, ends, and reports.
"""

from gort import Chan, RecvChan, SendChan, go, run


def worker(jobs: RecvChan[int], done: SendChan[None]) -> None:
    for job in jobs:
        print(f"received job {job}")
    print("received all jobs")
    done.send(None)


def main() -> None:
    jobs, done = Chan[int](5), Chan[None]()
    go(worker, jobs.rx, done.tx)
    for job in range(1, 6):
        print(f"sent job {job}")
        jobs.send(job)
    jobs.close()
    print("sent all jobs")
    done.recv()


if __name__ == "__main__":
    run(main)
