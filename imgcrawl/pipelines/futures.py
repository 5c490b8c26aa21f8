"""Answers for coroutines that wait, given from the event loop or from a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


def settle(answers: Iterable[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    """Give each future its result or its exception."""
    for answer, outcome in answers:
        if answer.cancelled():
            continue
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


def settle_soon(answers: Sequence[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    """`settle` from a thread; all at once, because the event loop is woken for each call."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        answers[0][0].get_loop().call_soon_threadsafe(settle, answers)
