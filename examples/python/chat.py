"""A chat server: what one says, all hear. A hub goroutine alone knows who is there, so nothing needs a lock: readers
send it what happens, and it puts messages into a channel for each client, from which that client's writer takes them.
The hub never waits for a client: one that has fallen 1024 messages behind is dropped. SIGINT and SIGTERM say goodbye
to all and end the program when all have left.

    python chat.py [ADDRESS]      default 127.0.0.1:7008; port 0: any that is free; /path or @name: a Unix socket

`nc 127.0.0.1 7008` is a client. `/name Ada` changes your name, `/who` says who is there, `/quit` leaves.
"""

import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Dict, NamedTuple, Set

from gort import Chan, Closed, RecvChan, WaitGroup, WouldBlock, net, run, select, signal_notify, signal_stop, sleep

LONGEST_LINE, LONGEST_NAME = 1000, 20
BEHIND = 1024  # messages that may wait for a client
PATIENCE = 10  # seconds that a client has to take a message when its buffers are full
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")  # nobody's terminal is to do what somebody else typed


@dataclass(eq=False)
class Client:
    conn: net.Conn
    outgoing: "Chan[bytes]" = field(default_factory=lambda: Chan[bytes](BEHIND))  # to the writer; the hub closes it


class Kind(Enum):
    ARRIVED = auto()
    SAID = auto()
    LEFT = auto()


class Event(NamedTuple):
    kind: Kind
    client: Client
    line: bytes = b""


class Hub:
    """Who is there. Only its own goroutine touches it."""

    def __init__(self) -> None:
        self.names: Dict[Client, bytes] = {}
        self.silent: Set[Client] = set()  # those whose `outgoing` is closed
        self.arrived = 0
        self.stopping = False

    def run(self, events: RecvChan[Event], stopping: RecvChan[None]) -> None:
        handlers = {Kind.ARRIVED: self.arrive, Kind.SAID: self.hear, Kind.LEFT: self.leave}
        while True:
            # Once it is closed, `stopping` would be ready for ever.
            chosen, event, ok = select(events, None if self.stopping else stopping)
            if chosen == 1:
                self.goodbye()
            elif ok:
                handlers[event.kind](event.client, event.line)
            else:
                return

    def silence(self, client: Client) -> None:
        if client not in self.silent:
            self.silent.add(client)
            client.outgoing.close()

    def tell(self, client: Client, message: bytes) -> None:
        if client in self.silent:
            return
        try:
            client.outgoing.try_send(message)
        except WouldBlock:
            self.silence(client)
            client.conn.close()  # its reader and writer wake, and it leaves

    def tell_all(self, message: bytes) -> None:
        for client in self.names:
            self.tell(client, message)

    def arrive(self, client: Client, _: bytes) -> None:
        self.arrived += 1
        self.names[client] = b"guest %d" % self.arrived
        if self.stopping:
            self.silence(client)
        self.tell_all(b"* %s is here\n" % self.names[client])

    def leave(self, client: Client, _: bytes) -> None:
        name = self.names.pop(client)
        self.silence(client)
        self.silent.discard(client)
        self.tell_all(b"* %s has left\n" % name)

    def rename(self, client: Client, name: bytes) -> None:
        if not name or len(name) > LONGEST_NAME or name in self.names.values():
            self.tell(client, b"* that name is taken, empty or too long\n")
            return
        self.tell_all(b"* %s is now %s\n" % (self.names[client], name))
        self.names[client] = name

    def hear(self, client: Client, line: bytes) -> None:
        if line.startswith(b"/name "):
            self.rename(client, line[6:])
        elif line == b"/who":
            for name in reversed(list(self.names.values())):
                self.tell(client, b"* %s\n" % name)
        elif line == b"/quit":
            self.silence(client)  # the writer hangs up after the last message
        else:
            self.tell_all(b"%s: %s\n" % (self.names[client], line))

    def goodbye(self) -> None:
        self.stopping = True
        self.tell_all(b"* the server stops\n")
        for client in self.names:
            self.silence(client)


class Server:
    def __init__(self, listener: net.Listener) -> None:
        self.listener = listener
        self.events = Chan[Event](64)  # from readers to the hub
        self.stopping = Chan[None]()  # closed when no more clients will come
        self.readers = WaitGroup()

    def write(self, client: Client) -> None:
        with client.conn, suppress(OSError, Closed):
            for message in client.outgoing:
                client.conn.set_write_deadline(time.monotonic() + PATIENCE)
                client.conn.write(message)
        for _ in client.outgoing:  # what still comes is thrown away
            pass

    def read(self, conn: net.Conn) -> None:
        client = Client(conn)
        writer = WaitGroup()
        writer.go(self.write, client)
        self.events.send(Event(Kind.ARRIVED, client))
        with suppress(OSError, Closed), conn.makefile("rb") as lines:
            while True:
                line = lines.readline(LONGEST_LINE)
                if not line.endswith(b"\n"):
                    break
                line = CONTROL.sub(b"?", line[:-1].rstrip(b"\r"))
                if line:
                    self.events.send(Event(Kind.SAID, client, line))
        self.events.send(Event(Kind.LEFT, client))
        writer.wait()

    def accept_all(self) -> None:
        while True:
            try:
                self.readers.go(self.read, self.listener.accept())
            except Closed:
                return
            except OSError as error:
                print(f"chat: {error}", file=sys.stderr)
                sleep(0.01)  # out of descriptors, say: until some client leaves


def network_of(address: str) -> str:
    return "unix" if address.startswith(("/", "@")) else "tcp"


def main(address: str) -> int:
    try:
        listener = net.listen(address, network_of(address))
    except (OSError, ValueError) as error:
        print(f"chat: {address}: {error}", file=sys.stderr)
        return 1
    server = Server(listener)
    signals = Chan[int](1)
    signal_notify(signals, signal.SIGINT, signal.SIGTERM)
    accepting, hub = WaitGroup(), WaitGroup()
    hub.go(Hub().run, server.events.rx, server.stopping.rx)
    accepting.go(server.accept_all)
    print(f"listening on {listener.addr}", flush=True)

    number = signals.recv()
    signal_stop(signals)  # a second signal ends the program at once
    listener.close()
    accepting.wait()
    server.stopping.close()
    server.readers.wait()
    server.events.close()
    hub.wait()
    print(f"stopped by signal {number:d}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: chat.py [ADDRESS]")
    sys.exit(run(main, *(sys.argv[1:] or ["127.0.0.1:7008"])))
