"""The folders of a directory store, each opened step by step, so that no link is followed on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOTDIR
from pathlib import Path

HANDLES = os.open in os.supports_dir_fd  # not on Windows
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


class Folders:
    """Gives handles of the folders below *root*. For any number of threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept = threading.local()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """While this lasts, this thread opens each folder once, for all files that it has in it."""
        handles: dict[str, int] = {}
        self._kept.handles = handles
        try:
            yield
        finally:
            del self._kept.handles
            for handle in handles.values():
                os.close(handle)

    @contextmanager
    def of(self, name: str, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
        """A handle of the folder that the file *name* is in, and its name there. Where there are no handles: None, and
        the whole path. Raises OSError."""
        folder, _, last = name.rpartition("/")
        if not HANDLES:
            yield None, str(self._checked(folder, create=create) / last)
            return
        kept: dict[str, int] | None = getattr(self._kept, "handles", None)
        if kept is None:
            handle = self._opened(folder, create=create)
            try:
                yield handle, last
            finally:
                os.close(handle)
            return
        if folder not in kept:
            kept[folder] = self._opened(folder, create=create)
        yield kept[folder], last

    def _opened(self, path: str, *, create: bool) -> int:
        handle = os.open(self.root, _FOLDER)
        for folder in path.split("/") if path else ():
            try:
                deeper = _deeper(folder, handle, create=create)
            finally:
                os.close(handle)
            handle = deeper
        return handle

    def _checked(self, folder: str, *, create: bool) -> Path:
        path = self.root
        for each in folder.split("/") if folder else ():
            path /= each
            if create:
                path.mkdir(exist_ok=True)
            if path.is_symlink():
                raise NotADirectoryError(ENOTDIR, "is a symbolic link", str(path))
        return path


def _deeper(folder: str, handle: int, *, create: bool) -> int:
    try:
        return os.open(folder, _FOLDER | _NO_FOLLOW, dir_fd=handle)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another worker was faster
        os.mkdir(folder, dir_fd=handle)
    return os.open(folder, _FOLDER | _NO_FOLLOW, dir_fd=handle)
