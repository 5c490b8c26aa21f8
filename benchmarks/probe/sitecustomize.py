"""Loaded by every Python that a benchmark measures (PYTHONPATH): tells what the main thread did.

At exit, a JSON file <BENCHMARK_PROBE>.<pid> gets the CPU seconds of the main thread and, with BENCHMARK_LAG, how
late the event loop's timers were, and which of its steps took how much CPU. It costs nothing in between, but for the
lag: a timer each 5 ms, and two looks at the clock a step; and, with BENCHMARK_PARTS, for a look at the threads each
millisecond (`parts`). CPU time is the step's own, whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import time
from pathlib import Path

TICK = 0.005
LONG = 0.002  # seconds of CPU of a step that is told with its name
late: list[tuple[float, float]] = []  # Unix time, seconds late
steps: list[tuple[float, float, str]] = []  # Unix time, seconds of CPU, what it was


def report(target: str) -> None:
    # A child may outlive the one that is waited for: what is read must be whole.
    unfinished = Path(target).with_name(f"unfinished.{os.getpid()}")
    spent = parts.told() if parts else {}
    unfinished.write_text(json.dumps({"main": time.thread_time(), "late": late, "steps": steps, "parts": spent}))
    unfinished.rename(f"{target}.{os.getpid()}")


def watch(loop: asyncio.AbstractEventLoop, due: float) -> None:
    now = loop.time()
    late.append((time.time(), now - due))
    loop.call_later(TICK, watch, loop, now + TICK)


def run_step(handle: asyncio.Handle) -> None:
    before = time.thread_time()
    plain_step(handle)
    if (took := time.thread_time() - before) > LONG:
        steps.append((time.time(), took, repr(handle)[:500]))


def run_forever(loop: asyncio.BaseEventLoop) -> None:
    if not hasattr(loop, "watched"):
        loop.watched = True
        loop.call_later(TICK, watch, loop, loop.time() + TICK)
    plain(loop)


target = os.environ.get("BENCHMARK_PROBE")
parts = None
if target:
    if os.environ.get("BENCHMARK_PARTS"):
        import parts

        parts.begin()
    atexit.register(report, target)
    if os.environ.get("BENCHMARK_LAG"):
        plain = asyncio.base_events.BaseEventLoop.run_forever
        asyncio.base_events.BaseEventLoop.run_forever = run_forever
        plain_step = asyncio.Handle._run
        asyncio.Handle._run = run_step
