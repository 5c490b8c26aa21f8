"""Files that are read under a name behind which something else may stand."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

# What stands under a name that can be foreseen is neither followed nor waited for.
UNSEEN: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def descriptor_of(path: Path, *, follow: bool = True) -> int:
    """A descriptor, to read, of the file at *path*, which with *follow* may be a link. Raises OSError, also for what is
    no file, which is not waited for."""
    flags = UNSEEN & ~getattr(os, "O_NOFOLLOW", 0) if follow else UNSEEN
    descriptor = os.open(path, os.O_RDONLY | flags)
    if kind := KINDS.get(stat.S_IFMT(os.fstat(descriptor).st_mode)):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is {kind}", str(path))
    return descriptor
