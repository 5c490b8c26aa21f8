"""Which errors of a store say that the next image cannot be stored either."""

from __future__ import annotations

import errno

_LOST = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),  # full, or for reading only
    *(errno.EACCES, errno.EPERM),  # its permissions were taken away
    *(errno.EIO, errno.ENOENT, errno.ENODEV, errno.ENXIO),  # the disk fails, or is not mounted any more
    *(getattr(errno, name) for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN", "ETIMEDOUT") if hasattr(errno, name)),
}


class LostStoreError(OSError):
    """A store at another machine does not take an image, after all that its library has tried."""

    def __init__(self, said: BaseException) -> None:
        text = " ".join(f"{type(said).__name__}: {said}".split())
        super().__init__(errno.EIO, text[:500])

    def __str__(self) -> str:
        return str(self.strerror)


def is_lost(error: BaseException) -> bool:
    """Whether *error* is of the store, and not of one image."""
    return isinstance(error, OSError) and error.errno in _LOST
