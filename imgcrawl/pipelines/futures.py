"""Answers for coroutines that wait, given from the event loop or from a thread, some in each turn of the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from imgcrawl.longwork import at_once

_T = TypeVar("_T")


class _Given:
    """The answers that are to be given in an event loop, in their order."""

    def __init__(self) -> None:
        self.answers: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._goes_on = False

    def give(self) -> None:
        if not self._goes_on:  # else they have their turn
            self._some()

    def _some(self) -> None:
        for answer, outcome in [self.answers.popleft() for _ in range(min(at_once(), len(self.answers)))]:
            if answer.cancelled():
                pass
            elif isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        self._goes_on = bool(self.answers)
        if self._goes_on:
            asyncio.get_running_loop().call_soon(self._some)


_given: WeakKeyDictionary[asyncio.AbstractEventLoop, _Given] = WeakKeyDictionary()


def settle(answers: Iterable[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    """Give each future its result or its exception, by and by: what else the loop has to do goes on in between."""
    loop = asyncio.get_running_loop()
    if (given := _given.get(loop)) is None:
        given = _given[loop] = _Given()
    given.answers.extend(answers)
    given.give()


def settle_soon(answers: Sequence[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    """`settle` from a thread; all at once, because the event loop is woken for each call."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        answers[0][0].get_loop().call_soon_threadsafe(settle, answers)


async def turn() -> None:
    """Return when it is this coroutine's turn among those that wait for an answer."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()
    loop.call_soon(settle, [(answer, None)])
    await answer
