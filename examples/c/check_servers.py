"""Checks of the examples that speak TCP, for `check`: each is started on a free port and used as by clients good
and bad.

The one thing to know: nothing here says how fast a thing must be. Whatever must come to pass is waited for, at most
TIMEOUT seconds. What must not be left over is seen from outside: the server's open descriptors in /proc, and its
goroutines in the dump that SIGQUIT makes.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

TIMEOUT = 60
CLIENTS = 60  # of one kind at once


class Wrong(Exception):
    """Says what was not as it should be."""


def want(truth, problem):
    if not truth:
        raise Wrong(problem)


def wait_until(condition, problem):
    end = time.monotonic() + TIMEOUT
    while not condition():
        want(time.monotonic() < end, problem() if callable(problem) else problem)
        time.sleep(0.01)


# ---- Servers ----


class Server:
    """One of the example servers, as a process."""

    def __init__(self, program, workers, *arguments, files=None):
        environment = dict(os.environ, GORT_MAXPROCS=str(workers))

        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen(
            [program, *map(str, arguments)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=limit,
        )
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (.+)\n", line)
        if not found:
            self.process.kill()
            errors = self.process.communicate()[1].decode(errors="replace")
            raise Wrong(f"it printed {line!r} and not its address; {errors}")
        self.address = found[1]
        self.errors = b""
        self.reader = threading.Thread(target=self.read_errors, daemon=True)
        self.reader.start()

    def read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def connect(self, small=False):
        return connect(self.address, small)

    def descriptors(self):
        """How many are open, but for those that gort itself makes for its workers when it first needs them."""
        count = 0
        where = f"/proc/{self.process.pid}/fd"
        for name in os.listdir(where):
            with contextlib.suppress(FileNotFoundError):
                count += not os.readlink(f"{where}/{name}").startswith("anon_inode:")
        return count

    def settle(self, first, probe=None):
        """Waits until it has no more descriptors than at `first`: clients that are gone are gone. `probe` is a
        last client, after which all that came before have been let in."""
        if probe:
            probe()
        wait_until(
            lambda: self.descriptors() <= first,
            lambda: f"{self.descriptors()} open descriptors, not {first}",
        )

    def refuses(self):
        try:
            self.connect().close()
        except OSError:
            return True
        return False

    def end(self):
        """Waits for its end; (exit status, the rest of what it printed)."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Wrong(f"still running after {TIMEOUT} s") from None
        self.reader.join()
        return status, self.process.stdout.read().decode()

    def quit(self, expected):
        """Ends it by SIGQUIT; that shows which goroutines wait. (One that runs may be about to wait, or to end.)"""
        self.process.send_signal(signal.SIGQUIT)
        self.end()
        errors = self.errors.decode(errors="replace")
        found = re.findall(r"^(?:goroutine \d+|(\d+) goroutines) \[([^],]+)", errors, re.M)
        want(found, f"no dump: {errors}")
        count = sum(int(many or 1) for many, state in found if state not in ["running", "runnable"])
        want(count <= expected, f"{count} goroutines wait, not {expected}:\n{errors}")

    def stop(self, words):
        self.process.send_signal(signal.SIGINT)
        self.stopped(words)

    def stopped(self, words):
        status, printed = self.end()
        want(status == 0, f"exit status {status}: {self.errors.decode(errors='replace')}")
        want(re.fullmatch(words, printed), f"printed {printed!r}, not {words!r}")
        want(not self.errors, f"on stderr: {self.errors.decode(errors='replace')}")


def connect(address, small=False):
    """`small`: with a small receive buffer, so that a server soon notices that nobody reads."""
    if address.startswith(("/", "@")):
        client = socket.socket(socket.AF_UNIX)
        target = "\0" + address[1:] if address.startswith("@") else address
    else:
        client = socket.socket()
        host, _, port = address.rpartition(":")
        target = (host, int(port))
    if small:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(TIMEOUT)
    try:
        client.connect(target)
    except OSError:
        client.close()
        raise
    return client


def vanish(client):
    """As if the cable were cut and the client came back: its connection is reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def read_exactly(client, n):
    got = b""
    while len(got) < n:
        more = client.recv(n - len(got))
        want(more, f"the connection ended after {len(got)} of {n} bytes")
        got += more
    return got


def read_all(client):
    got = b""
    while more := client.recv(1 << 16):
        got += more
    return got


def is_closed(client):
    """Waits for the end of the connection, whichever way it comes."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def fill(client):
    """Sends until nobody takes any more."""
    client.settimeout(0.05)
    try:
        while True:
            client.sendall(b"x" * 65536)
    except (socket.timeout, ConnectionError):
        client.settimeout(TIMEOUT)


@contextlib.contextmanager
def peer(handle, backlog=128):
    """A server in this script: `handle(client)` in a thread for each connection. Yields its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)

    def serve(client):
        with client, contextlib.suppress(OSError, threading.BrokenBarrierError):
            client.settimeout(TIMEOUT)
            handle(client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def there_and_back(client, data):
    """Sends all, says that this was all, and returns what comes back."""
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    got = read_all(client)
    sender.join()
    return got


# ---- echo ----


def check_echo(program, workers):
    with Server(program, workers, "127.0.0.1:0") as server:

        def probe():
            with server.connect() as client:
                want(there_and_back(client, b"still there") == b"still there", "bad clients disturb the others")

        first = server.descriptors()
        for _ in range(2):
            clients = [server.connect() for _ in range(CLIENTS)]
            for trip in range(5):
                for i, client in enumerate(clients):
                    client.sendall(b"%d of %d\n" % (i, trip))
                for i, client in enumerate(clients):
                    sent = b"%d of %d\n" % (i, trip)
                    got = read_exactly(client, len(sent))
                    want(got == sent, f"{got} came back for {sent}")
            for client in clients:
                client.close()
        data = os.urandom(3_000_000)
        with server.connect() as client:
            want(there_and_back(client, data) == data, "3 MB did not come back as they were sent")
        with server.connect() as deaf:
            fill(deaf)
            probe()
            vanish(deaf)
        for _ in range(CLIENTS):
            client = server.connect()
            client.sendall(b"gone")
            vanish(client)
        server.settle(first, probe)
        server.quit(2)
    with tempfile.TemporaryDirectory(prefix="gort-echo-") as directory:
        for address in [f"{directory}/socket", f"@{directory}/abstract", "127.0.0.1:0"]:
            with Server(program, workers, address) as server, server.connect() as client:
                client.sendall(b"hello")
                want(read_exactly(client, 5) == b"hello", f"no echo on {address}")
                server.stop("stopped by signal 2\n")
        want(not os.path.exists(f"{directory}/socket"), "the socket is left in the file system")
    few_files(program, workers, ["127.0.0.1:0"])
    bad_address(program, workers, ["there is no such place"])


def few_files(program, workers, arguments):
    """More clients than it can have descriptors: it says so, and serves on once they are gone."""
    with Server(program, workers, *arguments, files=40) as server:
        clients = [server.connect() for _ in range(CLIENTS)]
        wait_until(lambda: b"open files" in server.errors, "it did not say that it has too many open files")
        for client in clients:
            client.close()
        with server.connect() as client:
            client.sendall(b"\n")
            client.shutdown(socket.SHUT_WR)
            read_all(client)


def bad_address(program, workers, arguments):
    environment = dict(os.environ, GORT_MAXPROCS=str(workers))
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, timeout=TIMEOUT)
    want(done.returncode == 1, f"exit status {done.returncode} for a bad address")
    want(arguments[0].encode() in done.stderr, f"it did not name the bad address: {done.stderr}")


# ---- forward ----


def check_forward(program, workers):
    def reverse(client):
        """Answers when the other side has said all: so the half-close must come through."""
        client.sendall(read_all(client)[::-1])

    ends = []

    def silent(client):
        ends.append(is_closed(client))

    def breaking(client):
        client.recv(1)
        vanish(client)

    with peer(reverse) as target, Server(program, workers, "127.0.0.1:0", target) as server:
        first = server.descriptors()
        with server.connect() as client:
            want(there_and_back(client, b"abc") == b"cba", "nothing came back")
        data = os.urandom(3_000_000)
        with server.connect() as client:
            want(there_and_back(client, data) == data[::-1], "3 MB did not come through")
        clients = [server.connect() for _ in range(CLIENTS)]
        for i, client in enumerate(clients):
            client.sendall(b"%06d" % i)
            client.shutdown(socket.SHUT_WR)
        for i, client in enumerate(clients):
            got = read_all(client)
            want(got == (b"%06d" % i)[::-1], f"client {i} got {got}")
            client.close()
        server.settle(first)
        server.quit(2)
    with peer(silent) as target, Server(program, workers, "127.0.0.1:0", target) as server:
        first = server.descriptors()
        with server.connect():
            pass
        wait_until(lambda: len(ends) == 1, "the target was not told that the client closed")
        for _ in range(CLIENTS):
            vanish(server.connect())
        clients = [server.connect() for _ in range(10)]
        for client in clients:
            client.sendall(b"x")
        for client in clients:
            want(is_closed(client), "the target closed, the client was not told")
            client.close()
        server.settle(first)
        server.stop("stopped by signal 2\n")
    with peer(breaking) as target, Server(program, workers, "127.0.0.1:0", target) as server:
        first = server.descriptors()
        clients = [server.connect() for _ in range(10)]
        for client in clients:
            client.sendall(b"x")
        for client in clients:
            want(is_closed(client), "the target vanished, the client was not told")
        server.settle(first)
        for client in clients:
            client.close()
        server.quit(2)
    with Server(program, workers, "127.0.0.1:0", target) as server:
        with server.connect() as client:
            want(is_closed(client), "nobody listens there, and the client was not told")
        wait_until(lambda: b"refused" in server.errors, f"on stderr: {server.errors}")
    bad_address(program, workers, ["there is no such place", "127.0.0.1:1"])


# ---- chat ----


class Chatter:
    """A client with a name. Reads line by line."""

    def __init__(self, server, name):
        self.socket = server.connect()
        self.lines = self.socket.makefile("rb")
        self.say(f"/name {name}")
        while not (line := self.hear()).endswith(f"is now {name}"):
            want(line, f"{name} was sent away")

    def say(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def hear(self):
        return self.lines.readline().decode().rstrip("\n")

    def hears(self, *expected):
        for line in expected:
            got = self.hear()
            want(got == line, f"heard {got!r}, not {line!r}")

    def close(self):
        self.lines.close()
        self.socket.close()


def check_chat(program, workers):
    with Server(program, workers, "127.0.0.1:0") as server:
        first = server.descriptors()
        ada = Chatter(server, "Ada")
        bob = Chatter(server, "Bob")
        ada.hears("* guest 2 is here", "* guest 2 is now Bob")
        cyd = Chatter(server, "Cyd")
        for one in [ada, bob]:
            one.hears("* guest 3 is here", "* guest 3 is now Cyd")
        bob.say("good morning\n\nI am Bob\r")
        for one in [ada, bob, cyd]:
            one.hears("Bob: good morning", "Bob: I am Bob")
        ada.say("/who")
        ada.hears("* Cyd", "* Bob", "* Ada")
        ada.say("/name Bob")
        ada.hears("* that name is taken, empty or too long")
        ada.say("\x1b[2J caf\u00e9")
        for one in [ada, bob, cyd]:
            one.hears("Ada: ?[2J caf\u00e9")
        cyd.say("/quit")
        want(cyd.hear() == "", "no end after /quit")
        cyd.close()
        for one in [ada, bob]:
            one.hears("* Cyd has left")
        vanish(bob.socket)
        bob.lines.close()
        ada.hears("* Bob has left")
        # Who sends a line without an end is sent away.
        with server.connect() as client:
            client.sendall(b"x" * 5000)
            with contextlib.suppress(ConnectionError):
                while client.recv(1000):
                    pass
        ada.hears("* guest 4 is here", "* guest 4 has left")
        # Who does not listen is dropped, and nobody waits for it.
        deaf = server.connect(small=True)
        ada.hears("* guest 5 is here")
        talk = b"y" * 900
        dropped = False
        for _ in range(200):
            if dropped:
                break
            ada.socket.sendall((talk + b"\n") * 200)
            for _ in range(200):
                line = ada.hear()
                if line == "* guest 5 has left":
                    dropped = True
                    line = ada.hear()
                want(line == f"Ada: {talk.decode()}", f"heard {line!r}")
        want(dropped, "a client that does not listen stays")
        deaf.close()
        ada.close()
        # Many at once: each hears what all say.
        chatters = [Chatter(server, f"c{i}") for i in range(10)]
        for chatter in chatters:
            for k in range(20):
                chatter.say(f"line {k}")
        for chatter in chatters:
            heard = []
            while len(heard) < 200:
                line = chatter.hear()
                want(line, "sent away")
                if line.startswith("c"):
                    heard.append(line)
            for i in range(10):
                mine = [line for line in heard if line.startswith(f"c{i}:")]
                want(mine == [f"c{i}: line {k}" for k in range(20)], f"heard {mine}")
        for chatter in chatters:
            chatter.close()
        server.settle(first)
        server.quit(3)
    with Server(program, workers, "127.0.0.1:0") as server:
        ada, bob = Chatter(server, "Ada"), Chatter(server, "Bob")
        server.process.send_signal(signal.SIGINT)
        for one in [ada, bob]:
            while line := one.hear():
                last = line
            want(last in ["* the server stops"] or last.endswith("has left"), f"the last line was {last!r}")
            one.close()
        server.stopped("stopped by signal 2\n")
    bad_address(program, workers, ["there is no such place"])


# ---- fetch ----


def check_fetch(program, workers):
    """Every page waits until all pages are asked for: only who fetches all at once gets them."""
    pages = 20
    meeting = threading.Barrier(pages)

    def slow(client):
        client.recv(4096)
        meeting.wait(TIMEOUT)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    environment = dict(os.environ, GORT_MAXPROCS=str(workers), no_proxy="*")
    with peer(slow) as address:
        urls = [f"http://{address}/{i}" for i in range(pages)]
        done = subprocess.run([program, *urls], env=environment, capture_output=True, timeout=2 * TIMEOUT)
        expected = "".join(f"{url}: 200, 5 bytes\n" for url in urls)
        want(done.returncode == 0, f"exit status {done.returncode}: {done.stderr}")
        want(done.stdout.decode() == expected, f"printed {done.stdout}")
    # Nobody listens there any more.
    done = subprocess.run([program, urls[0]], env=environment, capture_output=True, timeout=TIMEOUT)
    want(done.returncode == 1, f"exit status {done.returncode} for a page that cannot be had")
    want(done.stdout.startswith(f"{urls[0]}: ".encode()), f"printed {done.stdout}")


# ---- httpd ----


class Browser:
    """A connection to a web server."""

    def __init__(self, server, small=False):
        self.socket = server.connect(small)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        got = self.socket.recv(1 << 16)
        self.rest += got
        return got

    def send(self, target, *fields, method="GET", version="1.1"):
        lines = [f"{method} {target} HTTP/{version}", "Host: localhost", *fields, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def answer(self, head=False):
        """(status, fields, body) of the next answer."""
        while b"\r\n\r\n" not in self.rest:
            want(self.more(), f"the connection ended after {self.rest[:200]}")
        start, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *fields = start.decode().split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z -]+", line)
        want(found, f"a strange answer: {line!r}")
        fields = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        status = int(found[1])
        n = 0 if head or status == 304 else int(fields["content-length"])
        while len(self.rest) < n:
            want(self.more(), f"the connection ended after {len(self.rest)} of {n} bytes")
        body, self.rest = self.rest[:n], self.rest[n:]
        want("date" in fields, "an answer without a date")
        return status, fields, body

    def get(self, target, *fields, **more):
        self.send(target, *fields, **more)
        return self.answer(head=more.get("method") == "HEAD")

    def closed(self):
        return not self.rest and is_closed(self.socket)


BAD_REQUESTS = [
    (400, b"hello\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    (400, b"GET / HTTP/1\r\nHost: x\r\n\r\n"),
    (400, b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    (400, b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n: x\r\nHost: x\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\0\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\n\rContent-Length: 1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"),
    (400, b"GET /a%zzb HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /a% HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /a.txt%00.html HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET a.txt HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /../a.txt HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /sub/../../secret HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /%2e%2e/secret HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /..%2fsecret HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, b"GET /sub/..//%2e./secret HTTP/1.1\r\nHost: x\r\n\r\n"),
    (405, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
    (405, b"DELETE /a.txt HTTP/1.1\r\nHost: x\r\n\r\n"),
    (405, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    (413, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
    (413, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
    (414, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Field: value\r\n" * 2000 + b"\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: x\r\nField: " + b"v" * 1_000_000 + b"\r\n\r\n"),
    (501, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (501, b"get / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (501, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
]


def make_site(root):
    """Files to be served, and what their paths are on the web."""
    site = root / "site"
    (site / "sub" / "no index").mkdir(parents=True)
    (root / "secret").write_bytes(b"not to be served")
    files = {
        "index.html": ("/", b"<p>home</p>"),
        "a.txt": ("/a.txt", b"plain"),
        "empty": ("/empty", b""),
        "sub/index.html": ("/sub/", b"<p>sub</p>"),
        "big.bin": ("/big.bin", os.urandom(3_000_000)),
        "chunk.css": ("/chunk.css", b"c" * 32768),
        "a b%20c?d.txt": ("/a%20b%2520c%3Fd.txt", b"an awkward name"),
        "caf\u00e9": ("/caf%C3%a9", b"coffee"),
        "..dots..": ("/..dots..", b"dots"),
    }
    for name, (_, content) in files.items():
        (site / name).write_bytes(content)
    os.mkfifo(site / "fifo")
    return site, dict(files.values())


def check_httpd(program, workers):
    with tempfile.TemporaryDirectory(prefix="gort-httpd-") as directory:
        site, pages = make_site(pathlib.Path(directory))
        with Server(program, workers, site, "127.0.0.1:0") as server:
            first = server.descriptors()
            good_requests(server, pages)
            bad_requests(server)
            vanishing_browsers(server)
            by_curl(server, pages)
            server.settle(first)
            server.quit(2)
        with Server(program, workers, "-t", "0.2", site, "127.0.0.1:0") as server:
            slow_browsers(server)
        with Server(program, workers, site, "127.0.0.1:0") as server:
            graceful_stop(server, pages)
        with Server(program, workers, site, "127.0.0.1:0") as server, Browser(server, small=True) as stuck:
            stuck.send("/big.bin")
            stuck.more()
            server.process.send_signal(signal.SIGINT)
            wait_until(server.refuses, "it still listens after SIGINT")
            server.process.send_signal(signal.SIGINT)
            status, _ = server.end()
            want(status == -signal.SIGINT, f"exit status {status} after a second SIGINT")
        few_files(program, workers, [site, "127.0.0.1:0"])


def good_requests(server, pages):
    with Browser(server) as browser:
        for target, content in pages.items():
            for _ in range(2):
                status, fields, body = browser.get(target)
                want(status == 200 and body == content, f"{target}: {status}, {len(body)} bytes")
            status, fields, _ = browser.get(target, method="HEAD")
            size = int(fields["content-length"])
            want(status == 200 and size == len(content), f"HEAD {target}: {status}, {size} bytes")
            status, _, _ = browser.get(target, f"If-Modified-Since: {fields['last-modified']}")
            want(status == 304, f"{target}, not modified: {status}")
            status, _, _ = browser.get(target, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")
            want(status == 200, f"{target}, modified since: {status}")
        for target, kind in [("/", "text/html; charset=utf-8"), ("/empty", "application/octet-stream")]:
            want(browser.get(target)[1]["content-type"] == kind, f"{target} is not {kind}")
        for target in ["/sub/../a.txt", "/./a.txt?query=/../..", "//a.txt", "/sub/%2e%2e/a%2Etxt", "http://x/a.txt"]:
            want(browser.get(target)[2] == b"plain", f"{target} is not a.txt")
        want(browser.get("http://localhost")[2] == b"<p>home</p>", "http://localhost is not the home page")
        for target, place in [("/sub", "/sub/"), ("//sub?a=b", "/sub/?a=b"), ("/sub/no%20index", "/sub/no%20index/")]:
            status, fields, _ = browser.get(target)
            want(status == 301 and fields["location"] == place, f"{target}: {status} {fields.get('location')}")
        for target in ["/none", "/fifo", "/a.txt/", "/a.txt/x", "/sub/no%20index/", "/" + "x" * 300, "/..."]:
            want(browser.get(target)[0] == 404, f"{target} is there")
        # Several in one piece, one in many.
        for _ in range(50):
            browser.send("/a.txt")
        for _ in range(50):
            want(browser.answer()[2] == b"plain", "not all answers came")
        for byte in b"\r\nGET /a.txt HTTP/1.1\nHost: x\n\n":
            browser.socket.sendall(bytes([byte]))
        want(browser.answer()[2] == b"plain", "no answer to a request in pieces")
        # As some clients end a request: with an empty line too many.
        browser.socket.sendall(b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n\r\n" * 3)
        for _ in range(3):
            status, _, body = browser.answer()
            want(status == 200 and body == b"plain", f"{status} for a request behind an empty line")
        browser.get("/a.txt", "Connection: x, Close")
        want(browser.closed(), "open after Connection: close")
    with Browser(server) as browser:
        for _ in range(2):
            _, fields, _ = browser.get("/a.txt", "Connection: keep-alive", version="1.0")
            want(fields["connection"] == "keep-alive", "HTTP/1.0 does not stay")
        browser.get("/a.txt", version="1.0")
        want(browser.closed(), "open after HTTP/1.0")
    browsers = [Browser(server) for _ in range(CLIENTS)]
    for _ in range(3):
        for browser in browsers:
            browser.send("/chunk.css")
        for browser in browsers:
            want(browser.answer()[2] == b"c" * 32768, "an answer is not the file")
    for browser in browsers:
        browser.socket.close()


def bad_requests(server):
    for status, request in BAD_REQUESTS:
        with Browser(server) as browser:
            browser.socket.sendall(request)
            got, fields, body = browser.answer()
            want(got == status, f"{got}, not {status}, for {request[:100]}")
            want(body.startswith(b"%d " % status), f"{status} with the body {body}")
            want(fields["connection"] == "close", f"{request[:100]} leaves the connection open")
            want(status != 405 or fields["allow"] == "GET, HEAD", "405 without Allow")
            want(browser.closed(), f"open after {request[:100]}")


def vanishing_browsers(server):
    for request in [b"", b"GET /a.t", b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"]:
        clients = [server.connect() for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            vanish(client)
    with Browser(server) as browser:
        want(browser.get("/a.txt")[2] == b"plain", "clients that vanished leave it sick")


def slow_browsers(server):
    """Each is sent away by itself; the one that does not read, without being asked."""
    first = server.descriptors()
    with Browser(server) as browser:
        browser.get("/")
        want(browser.closed(), "a client that asks for nothing more stays")
    with Browser(server) as browser:
        browser.send("/a.txt", "Connection: x")
        browser.answer()
        browser.socket.sendall(b"GET /a.txt HT")
        status, _, _ = browser.answer()
        want(status == 408 and browser.closed(), f"half a request: {status}")
    with Browser(server, small=True) as browser:
        for _ in range(4):
            browser.send("/big.bin")
        browser.more()
        server.settle(first)


def graceful_stop(server, pages):
    with Browser(server) as idle, Browser(server, small=True) as busy:
        idle.get("/a.txt")
        busy.send("/big.bin")
        busy.more()
        server.process.send_signal(signal.SIGINT)
        wait_until(server.refuses, "it still listens after SIGINT")
        want(idle.closed(), "an idle connection stays after SIGINT")
        status, _, body = busy.answer()
        want(status == 200 and body == pages["/big.bin"], f"an answer under way was cut: {len(body)} bytes")
        want(busy.closed(), "a connection stays after SIGINT and its answer")
        # What `refuses` tried meanwhile may have been let in.
        server.stopped(r"stopped after 2 requests on \d+ connections\n")


def by_curl(server, pages):
    if not shutil.which("curl"):
        print("skipped: httpd with curl, which is not installed")
        return
    targets = list(pages)
    urls = [f"http://{server.address}{target}" for target in targets]
    command = ["curl", "-q", "--noproxy", "*", "--path-as-is", "-sS", "-f", "-w", "%{num_connects}", *urls]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT)
    want(done.returncode == 0, f"curl: {done.stderr}")
    expected = b"".join(pages[target] + (b"0" if i else b"1") for i, target in enumerate(targets))
    want(done.stdout == expected, "curl got something else, or not on one connection")


CHECKS = {"echo": check_echo, "forward": check_forward, "chat": check_chat, "fetch": check_fetch, "httpd": check_httpd}


def check(program, workers):
    """None if all is well, or what is wrong."""
    try:
        CHECKS[program.name](program, workers)
    except Wrong as wrong:
        return str(wrong)
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return None
