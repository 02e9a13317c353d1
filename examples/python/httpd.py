"""A small web server for the files below a directory: HTTP/1.1 with keep-alive, GET and HEAD. Each connection has a
goroutine, which reads a request, answers it, and reads the next, as if nobody else were there.

    python httpd.py [-t SECONDS] DIR [ADDRESS]        default 127.0.0.1:8080; port 0: any that is free

What a client does is its own affair: a request that makes no sense is refused, one that does not arrive within 30
seconds (-t) of the last answer ends its connection, as does an answer that is not taken in that time, and a client
that vanishes is noticed by the next read or write. On SIGINT or SIGTERM the listener is closed, idle connections too,
and answers that are under way are finished, for at most 10 seconds; a second SIGINT does not wait for them.

Requests with a body, ranges and lists of a directory's files are not supported. Symbolic links are followed.
"""

import argparse
import errno
import mimetypes
import os
import re
import signal
import stat
import sys
import time
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Dict, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import quote, unquote_to_bytes

from gort import Chan, Closed, WaitGroup, net, run, signal_notify, signal_stop, sleep

LONGEST_HEAD = 8192  # of a request: its line and its fields
CHUNK = 32768  # read from a file and written at once
GRACE = 10  # seconds that answers under way have when the server stops

HEAD_END = re.compile(rb"\n\r?\n")
REQUEST_LINE = re.compile(rb"([^ ]*) ([^ ]*) HTTP/([0-9])\.([0-9])")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
TARGET = re.compile(rb"(?:(?i:http)://[^/?]*)?(/?[^?]*)(?:\?(.*))?")
OTHER_METHODS = {b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"}
NEWER = {413: "Content Too Large", 414: "URI Too Long"}  # as newer Pythons name them


class Refused(Exception):
    """A request that is not answered, but for this status."""

    def __init__(self, status: int) -> None:
        self.status = status


class Request(NamedTuple):
    head: bool = False  # HEAD: the answer without its body
    keep: bool = False  # the connection is to stay
    old: bool = False  # HTTP/1.0, where it only stays if both sides say so
    path: bytes = b"."  # decoded, without `.` and `..`, relative to the root
    slash: bool = False  # it ended with a slash
    query: bytes = b""
    since: Optional[float] = None  # If-Modified-Since


# ---- Parsing ----


def parse_path(target: bytes) -> Tuple[bytes, bool, bytes]:
    """`/path?query` or `http://host/path?query`: the path, whether it ends with a slash, the query."""
    match = TARGET.fullmatch(target)
    if re.search(rb"[^!-~]|#", target) or not match or not (match[1].startswith(b"/") or target[:1].lower() == b"h"):
        raise Refused(400)
    if re.search(rb"%(?![0-9A-Fa-f]{2})|%00", match[1]):
        raise Refused(400)
    steps: List[bytes] = []
    slash = True
    for step in unquote_to_bytes(match[1]).split(b"/"):
        slash = step in (b"", b".", b"..")
        if not slash:
            steps.append(step)
        elif step == b"..":
            if not steps:
                raise Refused(400)
            steps.pop()
    return b"/".join(steps) or b".", slash, match[2] or b""


def names(value: bytes) -> Set[bytes]:
    """What a list such as `keep-alive, Upgrade` names."""
    return {name.strip().lower() for name in value.split(b",")}


def parse_fields(lines: List[bytes], old: bool) -> Tuple[bool, Optional[float]]:
    """Whether the connection is to stay, and If-Modified-Since."""
    keep, since, hosts = not old, None, 0
    for line in lines:
        match = FIELD.fullmatch(line)
        if not match:
            raise Refused(400)
        name, value = match[1].lower(), match[2].rstrip(b" \t")
        if name == b"host":
            hosts += 1
        elif name == b"connection":
            keep = (keep or b"keep-alive" in names(value)) and b"close" not in names(value)
        elif name == b"transfer-encoding":
            raise Refused(501)
        elif name == b"content-length":
            if not value.isdigit():
                raise Refused(400)
            if value.strip(b"0"):
                raise Refused(413)
        elif name == b"if-modified-since":
            with suppress(ValueError, TypeError, IndexError):
                since = parsedate_to_datetime(value.decode("latin-1")).timestamp()
    if hosts > 1 or not (hosts or old):
        raise Refused(400)
    return keep, since


def parse(head: bytes) -> Request:
    first, *fields = (line[:-1] if line.endswith(b"\r") else line for line in head.split(b"\n"))
    match = REQUEST_LINE.fullmatch(first)
    if not match or not TOKEN.fullmatch(match[1]) or b"\0" in head:
        raise Refused(400)
    method, target, version, minor = match.groups()
    if version != b"1":
        raise Refused(505)
    if method not in (b"GET", b"HEAD"):
        raise Refused(405 if method in OTHER_METHODS else 501)
    path, slash, query = parse_path(target)
    old = minor == b"0"
    keep, since = parse_fields(fields, old)
    return Request(method == b"HEAD", keep, old, path, slash, query, since)


# ---- Connections ----


class Server:
    def __init__(self, root: str, patience: float) -> None:
        self.root = os.fsencode(root)
        self.patience = patience  # seconds that a client has for its next request, and to take a piece of an answer
        self.stopping = False
        self.running = WaitGroup()  # the goroutine that accepts, and those of connections
        self.connections: Set[Connection] = set()
        self.accepted = self.requests = 0

    def accept_all(self, listener: net.Listener) -> None:
        while True:
            try:
                self.running.go(Connection(self, listener.accept()).serve)
                self.accepted += 1
            except Closed:
                return
            except OSError as error:
                print(f"httpd: {error}", file=sys.stderr)
                sleep(0.01)  # out of descriptors, say: until some client leaves

    def stop(self, listener: net.Listener) -> None:
        self.stopping = True
        listener.close()
        for connection in list(self.connections):
            with suppress(Closed):
                connection.conn.set_read_deadline(0)
        try:
            self.running.wait(timeout=GRACE)
        except TimeoutError:
            for connection in list(self.connections):
                connection.conn.close()
            self.running.wait()


class Connection:
    def __init__(self, server: Server, conn: net.Conn) -> None:
        self.server = server
        self.conn = conn
        self.have = b""  # read, and not yet looked at

    def serve(self) -> None:
        self.server.connections.add(self)
        with self.conn, suppress(OSError, Closed):
            while self.serve_one():
                pass
        self.server.connections.discard(self)

    def serve_one(self) -> bool:
        """Reads one request and answers it; true if another may follow."""
        # Whoever stops the server says so first and changes the deadlines then: either we see it here, or our wait is
        # ended.
        self.conn.set_read_deadline(time.monotonic() + self.server.patience)
        if self.server.stopping:
            return False
        try:
            head = self.read_head()
            if head is None:
                return False
            self.server.requests += 1
            request = parse(head)
        except Refused as refused:
            self.refuse(refused.status)
            return False
        if self.server.stopping:
            request = request._replace(keep=False)
        return self.answer(request) and request.keep

    def read_head(self) -> Optional[bytes]:
        """The next request's line and fields; None at the end."""
        while True:
            self.have = self.have.lstrip(b"\r\n")  # an empty line before a request is not one
            end = HEAD_END.search(self.have)
            if end:
                head, self.have = self.have[: end.start()], self.have[end.end() :]
                return head
            if len(self.have) >= LONGEST_HEAD:
                raise Refused(431 if b"\n" in self.have else 414)
            try:
                data = self.conn.read(LONGEST_HEAD - len(self.have))
            except TimeoutError:
                if self.have and not self.server.stopping:
                    raise Refused(408) from None
                return None
            if not data:
                return None
            self.have += data

    def send(self, *parts: bytes) -> None:
        self.conn.set_write_deadline(time.monotonic() + self.server.patience)
        self.conn.write(b"".join(parts))

    def head(self, request: Request, status: int, fields: Dict[str, object]) -> bytes:
        lines = [f"HTTP/1.1 {status} {reason(status)}", f"Date: {formatdate(usegmt=True)}"]
        if not request.keep:
            lines.append("Connection: close")
        elif request.old:
            lines.append("Connection: keep-alive")
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def say(self, request: Request, status: int) -> None:
        """A short answer: one that says no more than its status."""
        body = f"{status} {reason(status)}\n".encode()
        fields: Dict[str, object] = {"Allow": "GET, HEAD"} if status == 405 else {}
        fields.update({"Content-Type": "text/plain; charset=utf-8", "Content-Length": len(body)})
        self.send(self.head(request, status, fields), b"" if request.head else body)

    def refuse(self, status: int) -> None:
        """Refuses a request, of which more may be on its way, and the connection with it. What still comes is dropped
        for a while: to close at once would reset the connection, perhaps before the client has read the answer."""
        self.say(Request(), status)
        self.conn.close_write()
        self.conn.set_read_deadline(time.monotonic() + 1)
        while not self.server.stopping and self.conn.read(CHUNK):
            pass

    def answer(self, request: Request) -> bool:
        path = os.path.join(self.server.root, request.path)
        try:
            if os.path.isdir(path):
                if not request.slash:
                    self.redirect(request)
                    return True
                path = os.path.join(path, b"index.html")
            elif request.slash:
                raise NotADirectoryError
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO is not to wait for its writer
        except (FileNotFoundError, NotADirectoryError):
            self.say(request, 404)
        except PermissionError:
            self.say(request, 403)
        except OSError as error:
            self.say(request, 404 if error.errno == errno.ENAMETOOLONG else 503)
        else:
            with os.fdopen(fd, "rb", buffering=0) as file:
                return self.send_file(request, path, file.fileno())
        return True

    def redirect(self, request: Request) -> None:
        """To the same directory, with a slash."""
        query = f"?{request.query.decode('latin-1')}" if request.query else ""
        place = f"/{quote(request.path)}/{query}"
        self.send(self.head(request, 301, {"Location": place, "Content-Length": 0}))

    def send_file(self, request: Request, path: bytes, fd: int) -> bool:
        """The head, and as much of the file as it said, be it longer by now; false if it is shorter."""
        file = os.fstat(fd)
        if not stat.S_ISREG(file.st_mode):
            self.say(request, 404)
            return True
        fields: Dict[str, object] = {"Last-Modified": formatdate(file.st_mtime, usegmt=True)}
        if request.since is not None and int(file.st_mtime) <= request.since:
            self.send(self.head(request, 304, fields))
            return True
        kind = mimetypes.guess_type(os.fsdecode(path))[0] or "application/octet-stream"
        fields["Content-Type"] = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        fields["Content-Length"] = left = file.st_size
        pending = self.head(request, 200, fields)
        while left > 0 and not request.head:
            data = os.read(fd, min(left, CHUNK))
            if not data:
                return False
            left -= len(data)
            self.send(pending, data)
            pending = b""
        if pending:
            self.send(pending)
        return True


def reason(status: int) -> str:
    return NEWER.get(status) or HTTPStatus(status).phrase


def main(root: str, address: str, patience: float) -> int:
    server = Server(root, patience)
    try:
        listener = net.listen(address, "unix" if address.startswith(("/", "@")) else "tcp")
    except (OSError, ValueError) as error:
        print(f"httpd: {address}: {error}", file=sys.stderr)
        return 1
    signals = Chan[int](1)
    signal_notify(signals, signal.SIGINT, signal.SIGTERM)
    server.running.go(server.accept_all, listener)
    print(f"listening on {listener.addr}", flush=True)

    signals.recv()
    signal_stop(signals)  # from here on a signal does what it does by itself: it ends the process
    server.stop(listener)
    print(f"stopped after {server.requests} requests on {server.accepted} connections")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="httpd", description="Serves the files below a directory.")
    parser.add_argument("-t", dest="patience", type=float, default=30, metavar="SECONDS")
    parser.add_argument("dir", metavar="DIR")
    parser.add_argument("address", metavar="ADDRESS", nargs="?", default="127.0.0.1:8080")
    given = parser.parse_args()
    sys.exit(run(main, given.dir, given.address, given.patience))
