"""Where the CPU time of a process goes: by what its threads are in, each time that it has used another millisecond."""

from __future__ import annotations

import gc
import resource
import signal
import sys
import threading
import time
from collections import defaultdict
from types import FrameType

EVERY = 0.001  # seconds of CPU time of all threads together
OF_AIOHTTP = ("aiohttp", "yarl", "multidict", "propcache", "frozenlist", "aiosignal", "aiohappyeyeballs")
OF_SCRAPY = ("scrapy", "itemadapter", "itemloaders", "parsel", "w3lib", "lxml", "pydispatch", "twisted")
PACKAGES = {**dict.fromkeys(OF_AIOHTTP, "aiohttp"), **dict.fromkeys(OF_SCRAPY, "Scrapy")}
IDLE = "threads: waiting for work"  # by now: what they have just done is as all that they do
SYSTEM_CALLS = ("selector_events.py", "selectors.py")

spent: dict[str, float] = defaultdict(float)
clocks: dict[int, float] = {}  # of each thread, when it was last looked at
main = threading.main_thread().ident


def part_of(frame: FrameType | None) -> str:
    """What *frame*, or what called it, is a part of."""
    innermost = frame
    while frame is not None:
        file = frame.f_code.co_filename.replace("\\", "/")
        _, _, package = file.rpartition("/site-packages/")
        if "/imgcrawl/" in file and package == file:
            return f"imgcrawl.{file.rpartition('/imgcrawl/')[2].removesuffix('.py').replace('/', '.')}"
        if innermost is not None and innermost.f_code.co_filename.endswith(SYSTEM_CALLS):
            return "asyncio: sockets"
        top = package.partition("/")[0]
        if package != file and top in PACKAGES:
            return PACKAGES[top]
        if frame.f_back is None or "/asyncio/" in file:
            return "asyncio" if "/asyncio/" in file else "other"
        frame = frame.f_back
    return "other"


def look(number: int, here: FrameType | None) -> None:
    # That call holds a lock of the interpreter's: garbage found by it would run code with the lock held, in which this
    # is called once more, or another thread's turn comes, and both wait for ever.
    collects = gc.isenabled()
    gc.disable()
    frames = sys._current_frames()
    if collects:
        gc.enable()
    for thread, frame in frames.items():
        now = time.clock_gettime(time.pthread_getcpuclockid(thread))
        took, clocks[thread] = now - clocks.get(thread, 0.0), now
        if took > 0:
            where = "event loop" if thread == main else "threads"
            is_idle = thread != main and frame.f_code.co_filename.endswith("concurrent/futures/thread.py")
            spent[IDLE if is_idle else f"{where}: {part_of(here if thread == main else frame)}"] += took
    for gone in clocks.keys() - frames.keys():
        del clocks[gone]


def begin() -> None:
    signal.signal(signal.SIGPROF, look)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)


def told() -> dict[str, float]:
    """Seconds by part, and those of all threads that the system spent."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    idle = spent.pop(IDLE, 0.0)
    of_threads = {part: seconds for part, seconds in spent.items() if part.startswith("threads: ")}
    for part, seconds in of_threads.items():
        spent[part] += idle * seconds / sum(of_threads.values())
    return {**spent, "of these in the kernel": usage.ru_stime, "all": usage.ru_utime + usage.ru_stime}
