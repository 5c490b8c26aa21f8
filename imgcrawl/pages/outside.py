"""Large pages are worked on outside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import Any, TypeVar, TypeVarTuple

from imgcrawl.longwork import give_back_memory, in_thread, while_wanted

LARGE = 32 * 1024  # bytes or characters of a page that takes some milliseconds to read
_MANY = 400  # tags, of which what is declared may take some milliseconds to find
_FREED = 500  # elements that are freed without a turn for others: some tenths of a millisecond
_PIECE = 20  # requests or items that are made, and handed on, without a turn for others

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")

# One thread: the interpreter runs one at a time, and each that wants it makes the event loop wait for it.
_thread = ThreadPoolExecutor(1, "pages")
_is_over: Callable[[], bool] = bool


def give_up_when(is_over: Callable[[], bool]) -> None:
    """From now on `outside_loop` raises `WorkGivenUp` when *is_over* says that nobody waits for pages any more."""
    global _is_over  # noqa: PLW0603 -- as there is one thread
    _is_over = is_over


def size_of(body: bytes) -> int:
    """What `outside_loop` is to take for the size of the page *body*: one of very many elements is large."""
    size = len(body)
    return LARGE if size < LARGE and body.count(b"<") > _MANY else size


async def outside_loop(size: int, function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    """What *function* returns for *args*, which are about a page of *size* bytes: of a large one found in a thread.

    It must change nothing that others may look at meanwhile. Raises `WorkGivenUp` where the crawl is being stopped, and
    what has the page is not done then: whoever goes on with the crawl shall do it (`imgcrawl.outputs`).
    """
    if size < LARGE:
        return function(*args)
    return await while_wanted(_thread, partial(copy_context().run, function, *args), _is_over)


async def in_pieces(size: int, made: Iterator[_Result]) -> AsyncIterator[_Result]:
    """What *made* gives, which it takes from a page of *size* bytes, some at a time, with turns for others between."""
    while True:
        piece, error = await outside_loop(size, _piece, made)
        for each in piece:
            yield each
        if error:  # behind what was made before it
            raise error
        if len(piece) < _PIECE:
            return
        await asyncio.sleep(0)


def _piece(made: Iterator[_Result]) -> tuple[list[_Result], Exception | None]:
    piece: list[_Result] = []
    try:
        piece.extend(islice(made, _PIECE))
    except Exception as error:
        return piece, error
    return piece, None


async def let_go(response: Any) -> None:
    """Free the tree that *response*, a page of Scrapy's, has been parsed into. Nobody may look at it any more; whoever
    asks the response for a selector has a new one.

    To free the nodes of a large page at once takes tens of milliseconds, wherever that is done: others wait for the
    interpreter meanwhile.
    """
    selector = getattr(response, "_cached_selector", None)
    if selector is not None and len(response.body) >= LARGE and selector.type in ("html", "xml"):
        response._cached_selector = None
        await in_thread(_thread, partial(_free, selector.root))


def _free(root: Any) -> None:
    """Free the elements below *root*, the last ones first."""
    last = list(islice(root.iter("*"), _FREED, None, _FREED))
    while last:
        element = last.pop()
        while (parent := element.getparent()) is not None:
            while (following := element.getnext()) is not None:
                parent.remove(following)
            element = parent
    give_back_memory()
