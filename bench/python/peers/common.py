"""What the programs of all peers share: how a workload is timed, and the command line.

The one thing to know: a workload is a function of n that does n operations. It is run with growing n until it takes
long enough; that last run counts, so that what is made once does not matter. CPU time is that of all threads of the
process.
"""

import argparse
import json
import sys
import time

SLEEP = 1.0  # seconds that those sleep who sleep


class Trials:
    """Iterates over the numbers of operations to be run, and times what happens between two of them."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.result = {}

    def __iter__(self):
        n = 10
        while True:
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            yield n
            cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
            if wall >= self.seconds * 1e9:
                self.result = {"cpu": cpu / n, "wall": wall / n}
                return
            n = int(n * min(20, max(2, 1.2 * self.seconds * 1e9 / wall)))


class Span:
    """Times one block; `idle` seconds of it are meant to pass asleep."""

    def __init__(self, n, idle=0.0):
        self.n, self.idle = n, idle

    def __enter__(self):
        self.cpu, self.wall = time.process_time_ns(), time.perf_counter_ns()
        return self

    def __exit__(self, *_):
        cpu, wall = time.process_time_ns() - self.cpu, time.perf_counter_ns() - self.wall
        self.result = {"cpu": cpu / self.n, "wall": (wall - self.idle * 1e9) / self.n}


def resident():
    """Bytes of memory that this process uses: resident, and the kernel's page tables for it."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return 1024 * sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE"))


class Memory:
    """Measures how much is in use at the end of the block, more than at its start, for each of n."""

    def __init__(self, n):
        self.n = n

    def __enter__(self):
        self.before = resident()
        return self

    def __exit__(self, *_):
        self.result = {"bytes": (resident() - self.before) / self.n}


def listening(port):
    """The runner waits for this line, and then is the server's only client. It ends the server when it has done."""
    print(json.dumps({"port": port}), flush=True)


def command(workloads):
    """(the workload, n or seconds) that the command line asks for. Prints the list of workloads for `--list`."""
    if sys.argv[1:] == ["--list"]:
        print(" ".join(name for name in workloads))
        sys.exit()
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=list(workloads))
    parser.add_argument("--seconds", type=float, default=0.3, help="at least so long")
    parser.add_argument("--n", type=int, default=10_000, help="of those who wait")
    return parser.parse_args()


def public(namespace, *names):
    """The workloads of a peer: those of `names` that it has."""
    return {name: namespace[name] for name in names if name in namespace}


REPEATED = (
    "spawn_join", "spawn_many", "pingpong", "buffered", "select", "select_default", "mutex", "mutex_8",
)  # fmt: skip
ONCE = ("parked", "sleeping", "echo")


def main(namespace):
    """For peers whose workloads are plain functions."""
    workloads = public(namespace, *REPEATED, *ONCE)
    args = command(workloads)
    workload = workloads[args.workload]
    if args.workload in ONCE:
        result = workload(args.n)
    else:
        trials = Trials(args.seconds)
        for n in trials:
            workload(n)
        result = trials.result
    print(json.dumps(result), flush=True)


async def amain(namespace, args):
    """For peers whose workloads are coroutines."""
    workload = namespace[args.workload]
    if args.workload in ONCE:
        result = await workload(args.n)
    else:
        trials = Trials(args.seconds)
        for n in trials:
            await workload(n)
        result = trials.result
    print(json.dumps(result), flush=True)
