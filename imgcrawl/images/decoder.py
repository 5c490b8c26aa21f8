"""The process that examines images and videos for `images.process`, one after the other."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import AvifImagePlugin

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.containers import examine_video
from imgcrawl.images.headers import facts_of_header
from imgcrawl.images.opening import formats
from imgcrawl.images.process import READY
from imgcrawl.images.room import ANIMATION_FACTOR, ROOM, set_pixel_limit
from imgcrawl.images.thumbnails import thumbnail
from imgcrawl.images.verify import examine
from imgcrawl.regularfiles import descriptor_of

SECONDS_A_PIXEL: Final = 0.5e-6  # of CPU time, beyond what any file may take; JPEG 2000 takes a tenth of it
MOST_SECONDS: Final = 60.0
SPARE: Final = 32 * 1024 * 1024  # bytes of address space beyond those that decoding may take
_VIDEO_PIXELS: Final = 100_000_000  # a walk through a video may take as much time as if it had them


class _Bounds:
    """What the process may take for one file: *memory* in bytes, the file's included, and *seconds* of CPU time. Where
    a system has no such bounds, there is the wall clock."""

    def __init__(self, memory: int, seconds: float) -> None:
        self._memory = memory
        self._seconds = seconds
        self._pixels = 0
        self._used = 0.0

    def begin(self, nbytes: int) -> None:
        """For a file of *nbytes*, which is in memory."""
        ROOM.most = max(self._memory - nbytes, 0)
        if sys.platform != "win32":
            import resource  # noqa: PLC0415 -- not on Windows

            with suppress(OSError, ValueError):
                pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
                most = pages * resource.getpagesize() + ROOM.most + SPARE
                _, hard = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        self._pixels = 0
        self._used = _cpu_seconds()
        self.allow(0)

    def allow(self, pixels: int) -> None:
        """Let the file take the time of *pixels* more."""
        self._pixels += pixels
        seconds = min(MOST_SECONDS, self._seconds + self._pixels * SECONDS_A_PIXEL) - (_cpu_seconds() - self._used)
        self._set_clock(max(seconds, 0.001))

    def end(self) -> None:
        self._set_clock(0)

    @staticmethod
    def _set_clock(seconds: float) -> None:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, seconds)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _answer(task: dict[str, Any], body: bytes, bounds: _Bounds) -> tuple[dict[str, Any], bytes]:
    name, options = task["task"], task["options"]
    try:
        if name == "examine_video":
            bounds.allow(ANIMATION_FACTOR * _VIDEO_PIXELS)
            facts = examine_video(Path(task["path"]))
        elif name == "facts_of_header":
            facts = facts_of_header(Path(task["path"]))
        else:
            if "path" in task:
                with os.fdopen(descriptor_of(Path(task["path"]), follow=False), "rb") as file:
                    body = file.read()
                bounds.begin(len(body))
            if name == "thumbnail":
                small, extension = thumbnail(body, tuple(options["size"]))
                return {"extension": extension, "size": len(small)}, small
            facts = examine(body, **options)
    except ImageError as error:
        return {"error": (error.reason, error.detail)}, b""
    except MemoryError:
        return {"error": ("too_many_pixels", "decoding it takes too much memory")}, b""
    except OSError as error:
        return {"error": ("error", str(error))}, b""
    fields = ("format", "width", "height", "frames", "extension", "warnings", "verified")
    return {"facts": {field: getattr(facts, field) for field in fields}}, b""


def serve(max_pixels: int, memory: int, seconds: float, tasks: BinaryIO, answers: BinaryIO) -> None:
    """Answer one task after the other, until there are no more."""
    set_pixel_limit(max_pixels)
    formats()
    bounds = _Bounds(memory, seconds)
    ROOM.on_cost = bounds.allow
    answers.write(READY)
    answers.flush()
    while line := tasks.readline():
        task = json.loads(line)
        body = tasks.read(task["size"]) if "size" in task else b""
        bounds.begin(len(body))
        answer, small = _answer(task, body, bounds)
        del body
        bounds.end()
        answers.write(json.dumps(answer).encode() + b"\n" + small)
        answers.flush()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # as systemd sends to all of a service: they are for the crawl
        signal.signal(number, signal.SIG_IGN)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
