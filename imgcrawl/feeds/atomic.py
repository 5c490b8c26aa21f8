"""Bytes and locks: whole writes, copies, and who has a file."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Signature = tuple[int, int]

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes


class TornWriteError(OSError):
    """A write that ended early, after *written* bytes."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.written = written


def write_all(file: io.FileIO, data: Buffer) -> int:
    written, view = 0, memoryview(data).cast("B")
    while written < len(view):
        try:
            written += file.write(view[written:])
        except OSError as error:
            raise TornWriteError(error, written) from error
    return written


def copy_bytes(source: io.FileIO, start: int, count: int, target: io.FileIO) -> None:
    source.seek(start)
    while count:
        data = source.read(min(CHUNK, count))
        if not data:
            raise OSError(f"{source.name!r} has become shorter")
        count -= write_all(target, data)


def same_bytes(a: Path, start_a: int, b: Path, start_b: int, count: int) -> bool:
    with a.open("rb") as one, b.open("rb") as other:
        one.seek(start_a)
        other.seek(start_b)
        while count:
            data = one.read(min(CHUNK, count))
            if not data or data != other.read(len(data)):
                return False
            count -= len(data)
    return True


def hidden_sibling(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def signature_of(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def lock(file: io.FileIO, *, alone: bool) -> bool:
    """Lock *file* until it is closed, *alone* or with others; False if another has it. No lock where there are none."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        logger.debug("%s cannot be locked: %s", file.name, error)
    return True
