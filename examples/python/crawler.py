"""A web crawler: follows the links of a site until it has seen every page once.

Main alone knows which pages have been seen and which wait, so nothing needs a lock: in one select it hands the next
address to whichever worker is free, or takes a page that one has fetched. The workers use urllib and html.parser as
they are. The site is generated, and served here, a goroutine for each connection.
"""

from collections import deque
from contextlib import suppress
from html.parser import HTMLParser
from typing import Deque, List, NamedTuple, Optional, Set, Tuple
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import urlopen

from gort import Chan, Closed, RecvChan, SendChan, WaitGroup, go, net, run, select

PAGES, WORKERS = 300, 16


class Page(NamedTuple):
    url: str
    status: int
    size: int
    links: List[str]


# ---- The crawler ----


class Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: List[str] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(urldefrag(urljoin(self.base, href)).url)


def fetch(url: str) -> Page:
    try:
        with urlopen(url, timeout=60) as answer:
            text = answer.read().decode()
    except HTTPError as error:
        error.close()
        return Page(url, error.code, 0, [])
    links = Links(url)
    links.feed(text)
    return Page(url, 200, len(text), links.found)


def work(urls: RecvChan[str], pages: SendChan[Page]) -> None:
    for url in urls:
        pages.send(fetch(url))


def crawl(start: str) -> List[Page]:
    """Every page of the site of `start` that can be reached from there."""
    urls, pages = Chan[str](), Chan[Page]()
    workers = WaitGroup()
    for _ in range(WORKERS):
        workers.go(work, urls.rx, pages.tx)

    site: List[Page] = []
    seen: Set[str] = {start}
    waiting: Deque[str] = deque([start])
    fetching = 0
    while waiting or fetching:
        chosen, page, _ = select((urls, waiting[0]) if waiting else None, pages)
        if chosen == 0:
            waiting.popleft()
            fetching += 1
            continue
        fetching -= 1
        site.append(page)
        for link in page.links:
            if link not in seen and urlsplit(link).netloc == urlsplit(start).netloc:
                seen.add(link)
                waiting.append(link)
    urls.close()
    workers.wait()
    return site


# ---- The site: a tree of pages with links back, elsewhere, and to nowhere ----


def make_page(number: int) -> str:
    links = [f"/{n}" for n in (2 * number + 1, 2 * number + 2) if n < PAGES]
    links += ["/", "#top", "http://elsewhere.invalid/"]
    if number % 100 == 99:
        links.append(f"/lost/{number}")
    return f"<h1>Page {number}</h1>" + "".join(f'<p><a href="{link}">a link</a>' for link in links)


def answer(client: net.Conn) -> None:
    with client, suppress(OSError), client.makefile("rb") as lines:
        path = lines.readline().split()[1].decode()[1:] or "0"
        while lines.readline().strip():
            pass
        status, body = ("200 OK", make_page(int(path))) if path.isdigit() else ("404 Not Found", "")
        client.write(f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def accept_all(listener: net.Listener) -> None:
    with suppress(Closed):
        while True:
            go(answer, listener.accept())


def main() -> None:
    with net.listen("127.0.0.1:0") as listener:
        go(accept_all, listener)
        home = f"http://{listener.addr}/"
        pages = crawl(home)
    print(f"{sum(page.status == 200 for page in pages)} pages, {sum(page.size for page in pages)} characters")
    for lost in sorted(page.url for page in pages if page.status != 200):
        print(f"lost: {lost[len(home) - 1:]}")


if __name__ == "__main__":
    run(main)
