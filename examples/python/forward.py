"""A port-forwarder: whoever connects to one address is connected to another.

Each connection has two goroutines, one for each direction; when one side has said all it has to say, that is passed on
(a half-close) and the other direction goes on. When either side breaks, both are closed, which wakes the goroutine of
the other direction.

    python forward.py LISTEN TARGET       127.0.0.1:8000 example.org:80; /path or @name: a Unix socket
"""

import signal
import sys

from gort import Chan, Closed, WaitGroup, go, net, run, signal_notify, sleep

CONNECT_TIME = 10  # seconds


def network_of(address: str) -> str:
    return "unix" if address.startswith(("/", "@")) else "tcp"


def complain(what: str, error: Exception) -> None:
    print(f"forward: {what}: {error}", file=sys.stderr, flush=True)


def copy(source: net.Conn, target: net.Conn) -> None:
    try:
        while True:
            data = source.read(16384)
            if not data:
                target.close_write()
                return
            target.write(data)
    except (OSError, Closed):
        source.close()
        target.close()


def forward(client: net.Conn, address: str) -> None:
    with client:
        try:
            target = net.dial(address, CONNECT_TIME, network_of(address))
        except (OSError, ValueError) as error:
            complain(address, error)
            return
        with target:
            directions = WaitGroup()
            directions.go(copy, target, client)
            copy(client, target)
            directions.wait()


def accept_all(listener: net.Listener, address: str) -> None:
    while True:
        try:
            go(forward, listener.accept(), address)
        except Closed:
            return
        except OSError as error:
            complain("cannot accept", error)
            sleep(0.01)  # out of descriptors, say: until some client leaves


def main(here: str, there: str) -> int:
    try:
        listener = net.listen(here, network_of(here))
    except (OSError, ValueError) as error:
        complain(here, error)
        return 1
    signals = Chan[int](1)
    signal_notify(signals, signal.SIGINT, signal.SIGTERM)
    accepting = WaitGroup()
    accepting.go(accept_all, listener, there)
    print(f"listening on {listener.addr}", flush=True)

    number = signals.recv()
    listener.close()
    accepting.wait()
    print(f"stopped by signal {number:d}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: forward.py LISTEN TARGET")
    sys.exit(run(main, *sys.argv[1:]))
