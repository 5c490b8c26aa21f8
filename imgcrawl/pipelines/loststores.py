"""Which errors of a store say that the next image cannot be stored either."""

from __future__ import annotations

import errno
import sqlite3

TIMEOUT = 20.0  # seconds, where IMAGES_STORE_TIMEOUT is not set
_LOST = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),  # full, or for reading only
    *(errno.EACCES, errno.EPERM),  # its permissions were taken away
    *(errno.EIO, errno.ENOENT, errno.ENODEV, errno.ENXIO),  # the disk fails, or is not mounted any more
    *(getattr(errno, name) for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN", "ETIMEDOUT") if hasattr(errno, name)),
}
# The primary code of an error of SQLite is in its low byte.
_LOST_CATALOGUE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}


class LostStoreError(OSError):
    """A store at another machine does not take an image, after all that its library has tried."""

    def __init__(self, said: BaseException) -> None:
        text = " ".join(f"{type(said).__name__}: {said}".split())
        super().__init__(errno.EIO, text[:500])

    def __str__(self) -> str:
        return str(self.strerror)


def is_lost(error: BaseException) -> bool:
    """Whether *error* is of the store, or of the catalogue beside it, and not of one image."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOST_CATALOGUE
    return isinstance(error, OSError) and error.errno in _LOST
