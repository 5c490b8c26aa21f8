"""Long work of threads, beside an event loop that is to be free."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cache, partial
from time import monotonic, sleep
from types import FrameType
from typing import Any, Generic, TypeVar, TypeVarTuple

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")

# Seconds that the event loop waits for the interpreter each time it has given it away, as it does with every packet;
# Python's 5 ms add up to a quarter of a second while a large page is worked on, and nobody else needs them shorter.
_SWITCH_INTERVAL = 0.0005
# What an event loop works on in one turn, of what is ready at the same moment: each takes some tenths of a millisecond,
# and a multiple of that while there is long work. Each turn has its price (a tenth of an image for 8 in place of 16);
# while there is long work 1 in place of 4 halves the lag beside pages of 100 MB, for the same CPU.
_AT_ONCE, _AT_ONCE_MEANWHILE = 32, 1
_OFTEN, _MOMENT = 0.002, 0.0001  # seconds from one moment for others to the next, and how long it is
_SOON = 0.2  # seconds after long work in which the next is expected
_LOOK = 0.2  # seconds after which it is asked again whether work is still wanted
_WITH_LOCKS = ("logging", "threading", "importlib.")
_PATIENCE = 2.0  # seconds after which work is given up once more: it may have been in what swallows any exception


class _Here(threading.local):
    """Since when this thread has worked for long without a moment for others, if it does."""

    since: float | None = None


_here = _Here()


def let_others() -> None:
    """Where this is long work: leave the interpreter to others, from time to time. To be called by what gives it away
    for some microseconds very often, as calls into a library in C do: whoever waits for it is woken then, finds it
    taken again, and begins to wait anew, so that an event loop was kept for a quarter of a second."""
    if _here.since is not None and monotonic() - _here.since > _OFTEN:
        sleep(_MOMENT)
        _here.since = monotonic()


class _Interruptible:
    """In a `with`: whoever waits for the interpreter has it soon."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._before = 0.0
        self._ended = float("-inf")

    def __enter__(self) -> None:
        with self._lock:
            self._threads += 1
            _here.since = monotonic()
            if self._threads == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, _SWITCH_INTERVAL))

    def __exit__(self, *error: object) -> None:
        with self._lock:
            _here.since = None
            self._threads -= 1
            self._ended = monotonic()
            if not self._threads:
                sys.setswitchinterval(self._before)

    def goes_on(self) -> bool:
        """Whether somebody is in it, or was a moment ago."""
        return self._threads > 0 or monotonic() - self._ended < _SOON


_interruptible = _Interruptible()


def at_once() -> int:
    """How much of what is ready at the same moment an event loop should work on before it looks at its timers."""
    return _AT_ONCE_MEANWHILE if goes_on() else _AT_ONCE


def goes_on() -> bool:
    """Whether there is long work in a thread, or was a moment ago."""
    return _interruptible.goes_on()


def interruptible(function: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    """What *function*, which works for long in a thread, returns for *args*. The event loop has the interpreter as soon
    as it wants it."""
    with _interruptible:
        return function(*args)


class WorkGivenUp(BaseException):
    """Long work has ended before it was done, for nobody wants it any more. Like the end of a task it passes whoever
    catches errors: it is none."""


class _Work(Generic[_Result]):
    """*function*, which works for long in a thread, and can be ended from another one: at its next step in Python,
    whatever that is, so that none of its loops need ask."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._given_up = -_PATIENCE
        self.timer: asyncio.TimerHandle

    def run(self) -> _Result:
        """In the thread. Raises `WorkGivenUp`."""
        with _interruptible:
            try:
                with self._lock:
                    if self._given_up > 0:
                        raise WorkGivenUp
                    self._thread = threading.get_ident()
                return self._function()
            finally:
                while self._thread is not None:  # what comes now must not be raised in the thread's next work
                    try:
                        with self._lock:
                            if self._given_up > 0:
                                _raise_in(self._thread, None)
                            self._thread = None
                    except WorkGivenUp:
                        pass

    def watch(self, loop: asyncio.AbstractEventLoop, is_over: Callable[[], bool]) -> None:
        """Give it up when *is_over* says that nobody waits for it any more, until `timer` is cancelled."""
        if is_over():
            self.give_up()
        self.timer = loop.call_later(_LOOK, self.watch, loop, is_over)

    def give_up(self) -> None:
        """Have `run` raise `WorkGivenUp`, soon. To be called again until it has."""
        with self._lock:
            if self._thread is not None and (monotonic() - self._given_up < _PATIENCE or _keeps_others(self._thread)):
                return
            self._given_up = monotonic()
            if self._thread is not None:
                _raise_in(self._thread, WorkGivenUp)


def _keeps_others(thread: int) -> bool:
    """Whether *thread* may have a lock that others need, and that it would not release: of the log, of an import."""
    frame = _frames().get(thread)
    while frame and frame.f_code is not _Work.run.__code__:
        if str(frame.f_globals.get("__name__")).startswith(_WITH_LOCKS):
            return True
        frame = frame.f_back
    return False


def _frames() -> dict[int, FrameType]:
    """Where each thread is. While Python looks, it holds a lock of its own, and garbage that is found just then would
    run code with the lock held: a thread that needs it, this one or another, would wait for ever, and the crawl with
    it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if collects:
            gc.enable()


def _tell_of_others(tell: Callable[[Any], object], ignored: Any) -> None:
    """A `sys.unraisablehook`: where Python ignores errors, as in the callback of a weak reference, it says so with a
    traceback, and of `WorkGivenUp`, which will be raised again, there is nothing to say."""
    if not issubclass(ignored.exc_type, WorkGivenUp):
        tell(ignored)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have *error* raised in *thread*; without one, what was to be raised there is not."""
    import ctypes  # noqa: PLC0415 -- few crawls are stopped amid long work

    if getattr(sys.unraisablehook, "func", None) is not _tell_of_others:
        sys.unraisablehook = partial(_tell_of_others, sys.unraisablehook)
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


async def while_wanted(threads: Executor, function: Callable[[], _Result], is_over: Callable[[], bool]) -> _Result:
    """As `in_thread`. Raises `WorkGivenUp` when *is_over* says that nobody waits for it any more."""
    loop, work = asyncio.get_running_loop(), _Work(function)
    work.timer = loop.call_later(_LOOK, work.watch, loop, is_over)
    try:
        return await loop.run_in_executor(threads, work.run)
    finally:
        work.timer.cancel()  # and with it the circle in which a large page would stay


async def in_thread(threads: Executor, function: Callable[[], _Result]) -> _Result:
    """What *function*, which works for long, returns in one of *threads*; `interruptible`."""
    return await asyncio.get_running_loop().run_in_executor(threads, interruptible, function)


def give_back_memory() -> None:
    """Have the C library give memory that is free back to the system, while others have the interpreter; else it does
    so, for milliseconds, when a thread frees something large that has the interpreter."""
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 -- few crawls have large pages

    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    return trim
