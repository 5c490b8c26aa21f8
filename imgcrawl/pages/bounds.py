"""What of a page is left out, because there is more of it than is looked at: told to whoever asks, never cut off in
silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, TypeVar

_T = TypeVar("_T")

MAX_IMAGES = 100_000  # of a page
_FEW = 500  # characters of an attribute

# What a gallery has that was not looked at (`left_out`).
LEFT_OUT: dict[str, str] = {
    "button": "a button shows more of its images, which only a script answers",
    "images": "its page names more images than are read of one page",
    "pages": "it goes on over more pages than are read of one gallery",
}

_noted: ContextVar[set[str] | None] = ContextVar("left out", default=None)


@contextmanager
def noted() -> Iterator[set[str]]:
    """What is left out meanwhile (`leave_out`): in this task, in those that it starts, and in `outside_loop`."""
    before, left_out = _noted.get(), set[str]()
    _noted.set(left_out)
    try:
        yield left_out
    finally:
        _noted.set(before)


def leave_out(what: str) -> None:
    """Note that *what* (of `LEFT_OUT`) is left out, or some of it."""
    if (left_out := _noted.get()) is not None:
        left_out.add(what)


def bounded(things: Iterable[_T], most: int, what: str = "images") -> Iterator[_T]:
    """The first *most* of *things*; that there are more is noted as *what* is left out."""
    left = iter(things)
    yield from islice(left, most)
    if next(left, left) is not left:
        leave_out(what)


def beginning_of(value: str, most: int) -> str:
    """The first *most* characters of *value*, which states images; that there are more is noted, unless it is one."""
    if len(value) > most and "base64" not in value[:_FEW]:
        leave_out("images")
    return value[:most]


class NamesRead:
    """What the elements of a page are called by one attribute, of which an element that is around thousands may have
    megabytes: it is read once, and of very many names the first."""

    def __init__(self, attribute: str = "class") -> None:
        self._attribute = attribute
        self._known: dict[Any, list[str]] = {}

    def of(self, element: Any) -> list[str]:
        if element not in self._known:
            self._known[element] = (element.get(self._attribute) or "")[:_FEW].split()
        return self._known[element]


def both_ends(things: Iterable[_T], most: int) -> list[_T]:
    """*things*, or of more than *most* those that come first and those that come last: what leads on stands there."""
    left = iter(things)
    first = list(islice(left, most // 2))
    return [*first, *deque(left, most - most // 2)]
