"""A group: pages are fetched by several goroutines, at most three at a time, and their words are summed up.

The first that fails cancels the group's context; the others see that and give up, and the end of the `with` block
raises why. (Fetching is pretended: a page is there after a while.)
"""

from typing import List, NamedTuple

from gort import Canceled, Context, Group, after, run, select


class Page(NamedTuple):
    name: str
    words: int  # 0: there is no such page
    seconds: float


def fetch(ctx: Context, page: Page) -> int:
    """The page's words. Waits no longer than until `ctx` is done."""
    chosen, _, _ = select(after(page.seconds), ctx.done)
    if chosen == 1:
        raise ctx.err() or Canceled()
    if not page.words:
        raise FileNotFoundError("no such file or directory")
    return page.words


def total(pages: List[Page]) -> int:
    words: List[int] = []

    def count(page: Page) -> None:
        words.append(fetch(group.ctx, page))

    with Group(limit=3) as group:
        for page in pages:
            group.go(count, page)
    return sum(words)


def report(what: str, pages: List[Page]) -> None:
    try:
        print(f"{what}: {total(pages)} words")
    except FileNotFoundError as error:
        print(f"{what}: {error}")


def main() -> None:
    good = [
        Page("home", 120, 0.002),
        Page("news", 800, 0.001),
        Page("about", 75, 0.003),
        Page("help", 450, 0.002),
        Page("contact", 30, 0.001),
    ]
    bad = [
        Page("home", 120, 0.001),
        Page("archive", 90_000, 600),
        Page("lost", 0, 0.002),
        Page("mirror", 90_000, 600),
    ]
    report("five pages", good)
    report("four pages, two of them slow and one lost", bad)


if __name__ == "__main__":
    run(main)
