"""Bytes, locks, and files of ours that stand beside a feed: whole writes, copies, one way to replace a file."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.filelocks import lock as lock_file
from imgcrawl.ownfiles import OPEN, open_own, whose

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Signature = tuple[int, int]

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
BLOCK = 4096  # bytes; file systems share whole blocks of two files


class TornWriteError(OSError):
    """A write that ended early, after *written* bytes."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.written = written


def is_there(path: Path) -> bool:
    """Whether there is something at *path*. Raises OSError where that cannot be told, or nothing can be there: since
    Python 3.14 `Path.exists` says no, then."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def write_all(file: io.FileIO, data: Buffer) -> int:
    written, view = 0, memoryview(data).cast("B")
    while written < len(view):
        try:
            written += file.write(view[written:])
        except OSError as error:
            raise TornWriteError(error, written) from error
    return written


def copy_bytes(source: io.FileIO, start: int, count: int, target: io.FileIO) -> None:
    """Copy *count* bytes from *start* of *source* to where *target* stands. Where the file system can share blocks of
    two files, whole ones are shared instead of copied, which costs next to nothing. Raises OSError."""
    shared = _share_blocks(source, start, count, target)
    source.seek(start + shared)
    count -= shared
    while count:
        data = source.read(min(CHUNK, count))
        if not data:
            raise OSError(f"{source.name!r} has become shorter")
        count -= write_all(target, data)


def _share_blocks(source: io.FileIO, start: int, count: int, target: io.FileIO) -> int:
    """How many of the bytes the kernel has copied: all whole blocks, or fewer, or none."""
    place = target.tell()
    if not hasattr(os, "copy_file_range") or start % BLOCK or place % BLOCK:
        return 0
    whole, copied = count - count % BLOCK, 0
    with contextlib.suppress(OSError):  # another file system, or one that cannot
        while copied < whole:
            some = os.copy_file_range(source.fileno(), target.fileno(), whole - copied, start + copied, place + copied)
            if not some:
                break
            copied += some
    target.seek(place + copied)
    return copied


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


def signature_of(file: Path | int) -> Signature | None:
    """By what a change of *file*, a path or a descriptor, is told; None where there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116 -- a descriptor, too
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def lock(file: io.FileIO, *, alone: bool) -> bool:
    """Lock *file* until it is closed, *alone* or with others; False if another has it. No lock where there are none."""
    try:
        lock_file(file, shared=not alone, wait=not alone)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        logger.debug("%s cannot be locked: %s", file.name, error)
    return True


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[io.FileIO]:
    """A new file that takes the place of *path*, in one step, when the block ends without an error.

    It is on the disk by then, and has the mode of what it replaces. Raises OSError; *path* is as it was then.
    """
    file, temporary = _temporary(path)
    try:
        with file:
            yield file
            os.fsync(file.fileno())
            with contextlib.suppress(OSError):  # nothing to replace; and not every file system has modes
                mode = stat.S_IMODE(path.stat().st_mode)
                os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, mode)  # noqa: PTH101 -- a descriptor
            temporary.replace(path)
            sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> tuple[io.FileIO, Path]:
    """A new file beside *path*. What a kill left of an earlier one is removed; what is not ours is stepped around."""
    temporary = hidden_sibling(path, "tmp")
    with contextlib.suppress(OSError):
        if not whose(temporary) and temporary.exists():
            with open_own(temporary) as old:
                if lock(old, alone=True):
                    temporary.unlink()
    while True:
        try:
            file = io.FileIO(os.open(temporary, OPEN | os.O_EXCL, 0o666), "r+b")
        except FileExistsError:
            temporary = hidden_sibling(path, f"{secrets.token_hex(4)}.tmp")
        else:
            lock(file, alone=True)
            return file, temporary


def sync_folder(folder: Path) -> None:
    """Have the names in *folder* survive a power cut, where the system can say so."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
