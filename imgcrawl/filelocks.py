"""Locks on open files, which end with their process."""

from __future__ import annotations

import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock(file: IO[Any], *, shared: bool = False, wait: bool = False) -> None:
    """Lock *file* until it is closed; with *shared* beside others that do so, too (on Windows alone all the same).

    Raises `BlockingIOError` if another process has it, unless it is to *wait*; `OSError` where the file system has no
    locks. As flock(2); the library portalocker does the same, and loads a Redis client.
    """
    if sys.platform == "win32":
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
    else:
        flags = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, flags if wait else flags | fcntl.LOCK_NB)
