"""Large pages are worked on outside the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar, TypeVarTuple

LARGE = 32 * 1024  # bytes or characters of a page that takes some milliseconds to read
_PIECE = 20  # requests or items that are made, and handed on, without a turn for others

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")

# One thread: the interpreter runs one at a time, and each that wants it makes the event loop wait for it.
_thread = ThreadPoolExecutor(1, "pages")
# Seconds that the event loop waits for the interpreter each time it has given it away, as it does with every packet;
# Python's 5 ms add up to a quarter of a second while a page is worked on, and nobody else needs them shorter.
_SWITCH_INTERVAL = 0.001


async def outside_loop(size: int, function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    """What *function* returns for *args*, which are about a page of *size* bytes: of a large one found in a thread.

    It must change nothing that others may look at meanwhile.
    """
    if size < LARGE:
        return function(*args)
    return await asyncio.get_running_loop().run_in_executor(_thread, _yielding, function, *args)


def _yielding(function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _SWITCH_INTERVAL))
    try:
        return function(*args)
    finally:
        sys.setswitchinterval(interval)


async def in_pieces(size: int, made: Iterator[_Result]) -> AsyncIterator[_Result]:
    """What *made* gives, which it takes from a page of *size* bytes, some at a time, with turns for others between."""
    while piece := await outside_loop(size, list, islice(made, _PIECE)):
        for each in piece:
            yield each
        if len(piece) < _PIECE:
            return
        await asyncio.sleep(0)
