"""Images and videos that are examined in a process of their own, which is ended when they take too much.

No thread can be stopped while a decoder runs. So what is not sure to be quick, small and harmless in the threads of
the crawl (`images.costs`) is examined here: with a bound in memory and in CPU time, and what its decoders write to the
standard error stream is not seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from imgcrawl.children import import_path
from imgcrawl.exceptions import ImageError
from imgcrawl.images.verify import Facts

SECONDS: Final = 5.0  # of CPU time that any file may take
_WALL_CLOCK: Final = 600.0  # seconds, for a machine that is asleep or has no clocks of CPU time
_END: Final = 5  # seconds in which a process ends that answers no more
_OUT_OF_TIME: Final = {27, 9}  # SIGPROF, of such a clock; SIGKILL, of the other or where there is no memory
# glibc keeps what large images took, unless it is told not to.
_GIVEN_BACK: Final = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}


class OutOfTimeError(ImageError):
    """Examining a file took more CPU time than it may."""


class DecoderProcess:
    """Examines one file at a time, in a process that is started for the first one, and again when it was ended.

    An image may have *max_pixels*, and take four bytes for each of them; any file may take *seconds* of CPU time, and
    one of many pixels more. Its methods are for threads, and raise
    `ImageError`: "too_many_pixels" for what takes too much memory, or time (`OutOfTimeError`), "corrupt" for what
    crashes a decoder.
    """

    def __init__(self, max_pixels: int, seconds: float = SECONDS) -> None:
        self._bounds = [str(max_pixels), str(seconds)]
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
        with self._turn:
            try:
                if self._process and self._process.poll() is not None:  # ended by somebody else, in between
                    self._ended(OSError())
                process = self._process or self._started()
                answer, body = _exchange(process, {"task": task, "options": options, **_named(source)}, source)
            except (OSError, ValueError) as error:
                raise self._ended(error) from None
        if "error" in answer:
            raise ImageError(*answer["error"])
        return answer, body

    def _started(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise OSError("the crawl is over")
        self._process = subprocess.Popen(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "imgcrawl.images.decoder", *self._bounds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_GIVEN_BACK, **import_path()},
        )
        if self._is_closed:
            self._process.kill()
        return self._process

    def _ended(self, error: Exception) -> ImageError:
        """Why there was no answer."""
        process, self._process = self._process, None
        if process is None:
            return ImageError("error", f"no process could be started to decode it: {error}")
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
        if -code in _OUT_OF_TIME:
            return OutOfTimeError("too_many_pixels", "decoding it took too long")
        return ImageError("corrupt", f"its decoder ended with {code}")


def _named(source: bytes | Path) -> dict[str, Any]:
    return {"path": str(source.absolute())} if isinstance(source, Path) else {"size": len(source)}


def _exchange(process: subprocess.Popen[bytes], task: object, source: bytes | Path) -> tuple[dict[str, Any], bytes]:
    """Send *task* and read its answer. Raises OSError or ValueError where there is none."""
    clock = threading.Timer(_WALL_CLOCK, process.kill)
    clock.daemon = True
    clock.start()
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 -- both were asked for
        process.stdin.write(json.dumps(task).encode() + b"\n")
        if isinstance(source, bytes):
            process.stdin.write(source)
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        body = process.stdout.read(answer["size"]) if "size" in answer else b""
    finally:
        clock.cancel()
    return answer, body


def _facts(answer: dict[str, Any]) -> Facts:
    return Facts(**{**answer["facts"], "warnings": tuple(answer["facts"]["warnings"])})
