"""Calls of a file system that may hang, as a home in a network does whose server is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

PATIENCE = 5.0  # seconds that a call may take


class Aside:
    """Does one call after the other in a thread of its own, which keeps no process from its end.

    Whoever asks for a call gets what it returns or raises; TimeoutError if it takes more than PATIENCE seconds, and at
    once while one that took longer goes on.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._late: Future[Any] | None = None

    async def do(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """*call*, of a coroutine."""
        future = self._begin(lambda: call(*args, **kwargs))
        done = asyncio.wrap_future(future)
        await asyncio.wait([done], timeout=PATIENCE)
        if not done.done():
            self._late = future
            raise TimeoutError(_TOLD)
        return done.result()

    def wait_for(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """*call*, of a thread that may wait."""
        future = self._begin(lambda: call(*args, **kwargs))
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            if not future.done():
                self._late = future
                raise TimeoutError(_TOLD) from None
            raise

    def _begin(self, call: Callable[[], _T]) -> Future[_T]:
        if self._late and not self._late.done():
            raise TimeoutError(_TOLD)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
            self._thread.start()
        future: Future[_T] = Future()
        self._calls.put((future, call))
        return future

    def _run(self) -> None:
        while True:
            future, call = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del future, call


_TOLD = "the file system does not answer"
