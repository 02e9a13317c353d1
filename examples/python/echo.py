"""An echo server: a goroutine for each connection sends back what it reads, in plain code that looks as if it blocked.

A client that goes away, in whatever manner, ends its goroutine and nobody else's. SIGINT and SIGTERM arrive as values
in a channel: the listener is closed, which wakes the goroutine that accepts, and the program ends.

    python echo.py [ADDRESS]      default 127.0.0.1:7007; port 0: any that is free; /path or @name: a Unix socket

Try it with `nc 127.0.0.1 7007`.
"""

import signal
import sys
from contextlib import suppress

from gort import Chan, Closed, WaitGroup, go, net, run, signal_notify, sleep


def serve(client: net.Conn) -> None:
    with client, suppress(OSError, Closed):
        while True:
            data = client.read(4096)
            if not data:
                return
            client.write(data)


def accept_all(listener: net.Listener) -> None:
    while True:
        try:
            go(serve, listener.accept())
        except Closed:
            return
        except OSError as error:
            print(f"echo: {error}", file=sys.stderr)
            sleep(0.01)  # out of descriptors, say: until some client leaves


def network_of(address: str) -> str:
    return "unix" if address.startswith(("/", "@")) else "tcp"


def main(address: str) -> int:
    try:
        listener = net.listen(address, network_of(address))
    except (OSError, ValueError) as error:
        print(f"echo: {address}: {error}", file=sys.stderr)
        return 1
    signals = Chan[int](1)
    signal_notify(signals, signal.SIGINT, signal.SIGTERM)
    accepting = WaitGroup()
    accepting.go(accept_all, listener)
    print(f"listening on {listener.addr}", flush=True)

    number = signals.recv()
    listener.close()
    accepting.wait()
    print(f"stopped by signal {number:d}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: echo.py [ADDRESS]")
    sys.exit(run(main, *(sys.argv[1:] or ["127.0.0.1:7007"])))
