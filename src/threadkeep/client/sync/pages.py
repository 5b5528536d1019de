# Made by `scripts/lock` of client/api/pages.py; a test fails when it is stale.

"""Lists that come in pages."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class _Page(Protocol):
    @property
    def next_cursor(self) -> str | None: ...


Item = TypeVar("Item")
Page = TypeVar("Page", bound=_Page)


class Pages(Generic[Item, Page]):
    """A list that is read page by page, as far as it is wanted: iterate over its items, or over its `pages()`.

    Each iteration begins anew.
    """

    def __init__(self, fetch: Callable[[str | None], Page], items: Callable[[Page], Iterable[Item]]) -> None:
        self._fetch = fetch
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            for item in self._items(page):
                yield item

    def pages(self, cursor: str | None = None) -> Iterator[Page]:
        """The pages, from the first one on, or from where the `next_cursor` of another leads."""
        while True:
            page = self._fetch(cursor)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def page(self, cursor: str | None = None) -> Page:
        """One page: the first, or the one to which the `next_cursor` of another leads."""
        return self._fetch(cursor)
