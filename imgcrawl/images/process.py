"""Images and videos that are examined in a process of their own, which is ended when they take too much.

No thread can be stopped while a decoder runs. So what is not sure to be quick, small and harmless in the threads of
the crawl (`images.costs`) is examined here: with a bound in memory and in CPU time, and what its decoders write to the
standard error stream is not seen.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from imgcrawl.children import import_path
from imgcrawl.imageerrors import ImageError
from imgcrawl.images.verify import Facts

MEMORY: Final = 160_000_000  # bytes
SECONDS: Final = 5.0  # of CPU time that any file may take
_WALL_CLOCK: Final = 600.0  # seconds, for a machine that is asleep or has no clocks of CPU time
READY: Final = b"\n"  # the first word of the process: what it does not answer after it is for the sake of a file
_END: Final = 5  # seconds in which a process ends that answers no more
_OUT_OF_TIME: Final = 27  # SIGPROF, of such a clock
# What others send: the kernel where there is no memory, an operator, whoever ends a service. No decoder ends with them.
_FROM_OUTSIDE: Final = {getattr(signal, name, None) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")}
# glibc keeps what large images took, unless it is told not to.
_GIVEN_BACK: Final = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}


class OutOfTimeError(ImageError):
    """Examining a file took more CPU time than it may."""


class NotStartedError(ImageError):
    """The process could not be started, whatever the file is."""


class _EndedFromOutsideError(ImageError):
    """The process was ended by somebody else, whatever the file is."""


class DecoderProcess:
    """Examines one file at a time, in a process that is started for the first one, and again when it was ended.

    An image may have *max_pixels*, and take *memory*, in bytes, its file included; the process itself has 30 MB. Any
    file may take *seconds* of CPU time, and one of many pixels more. A file whose process was ended by somebody else is
    tried once more. Its methods are for threads, and raise `ImageError`: "too_many_pixels" for what takes too much
    memory, or time (`OutOfTimeError`), "corrupt" for what crashes a decoder, "error" where the process was ended twice.
    """

    def __init__(self, max_pixels: int, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        self._bounds = [str(max_pixels), str(memory), str(seconds)]
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def examine(self, source: bytes | Path, **options: Any) -> Facts:
        """As `verify.examine`, of bytes or of a file."""
        answer, _ = self._ask("examine", source, options)
        return _facts(answer)

    def examine_video(self, source: Path) -> Facts:
        """As `containers.examine_video`."""
        answer, _ = self._ask("examine_video", source, {})
        return _facts(answer)

    def facts_of_header(self, source: Path) -> Facts:
        """As `headers.facts_of_header`: some plugins decode as they open, and go through all frames to count them."""
        answer, _ = self._ask("facts_of_header", source, {})
        return _facts(answer)

    def thumbnail(self, source: bytes | Path, size: tuple[int, int]) -> tuple[bytes, str]:
        """As `thumbnails.thumbnail`."""
        answer, body = self._ask("thumbnail", source, {"size": size})
        return body, answer["extension"]

    def close(self) -> None:
        """End the process, whatever it does."""
        self._is_closed = True
        if process := self._process:
            process.kill()
        with self._turn:  # which who waits for an answer leaves now
            if self._process:
                self._ended(OSError())

    def _ask(self, task: str, source: bytes | Path, options: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        request = {"task": task, "options": options, **_named(source)}
        with self._turn:
            try:
                answer, body = self._answer(request, source)
            except _EndedFromOutsideError:
                answer, body = self._answer(request, source)
        if "error" in answer:
            raise ImageError(*answer["error"])
        return answer, body

    def _answer(self, request: Mapping[str, Any], source: bytes | Path) -> tuple[dict[str, Any], bytes]:
        if self._process and self._process.poll() is not None:  # ended in between
            self._ended(OSError())
        try:
            return _exchange(self._process or self._started(), request, source)
        except (OSError, ValueError) as error:
            raise self._ended(error) from None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise OSError("the crawl is over")
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "imgcrawl.images.decoder", *self._bounds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the crawl, which ends this in its time
            env={**os.environ, **_GIVEN_BACK, **import_path()},
        )
        self._process = process
        if self._is_closed:
            process.kill()
        with _clock(process):
            greeting = process.stdout.read(len(READY)) if process.stdout else b""
        if greeting != READY:
            why = self._ended(OSError())
            if isinstance(why, _EndedFromOutsideError):
                raise why
            raise OSError(f"it ended with {process.returncode} before its first word")
        return process

    def _ended(self, error: Exception) -> ImageError:
        """Why there was no answer."""
        process, self._process = self._process, None
        if process is None and self._is_closed:
            return ImageError("stopped")
        if process is None:
            return NotStartedError("error", f"no process could be started to decode it: {error}")
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                assert pipe is not None  # noqa: S101 -- both were asked for
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        process.kill()
        code = process.wait()
        if self._is_closed:
            return ImageError("stopped")
        if -code == _OUT_OF_TIME or isinstance(error, TimeoutError):
            return OutOfTimeError("too_many_pixels", "decoding it took too long")
        if -code in _FROM_OUTSIDE:
            return _EndedFromOutsideError("error", f"the process that decodes it was ended with {code}")
        return ImageError("corrupt", f"its decoder ended with {code}")


def _named(source: bytes | Path) -> dict[str, Any]:
    return {"path": str(source.absolute())} if isinstance(source, Path) else {"size": len(source)}


def _exchange(process: subprocess.Popen[bytes], task: object, source: bytes | Path) -> tuple[dict[str, Any], bytes]:
    """Send *task* and read its answer. Raises OSError or ValueError where there is none."""
    end = time.monotonic() + _WALL_CLOCK
    try:
        with _clock(process):
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 -- both were asked for
            process.stdin.write(json.dumps(task).encode() + b"\n")
            if isinstance(source, bytes):
                process.stdin.write(source)
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            body = process.stdout.read(answer["size"]) if "size" in answer else b""
    except (OSError, ValueError):
        if time.monotonic() >= end:
            raise TimeoutError from None
        raise
    return answer, body


@contextmanager
def _clock(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """*process* is ended if this lasts for too long."""
    clock = threading.Timer(_WALL_CLOCK, process.kill)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def _facts(answer: dict[str, Any]) -> Facts:
    return Facts(**{**answer["facts"], "warnings": tuple(answer["facts"]["warnings"])})
