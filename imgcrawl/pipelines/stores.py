"""Where files go. Any store Scrapy knows works; this one, for directories, writes nothing that could be lost."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from scrapy.pipelines.files import FSFilesStore
from scrapy.pipelines.media import MediaPipeline

# File systems without hard links (FAT, some network shares) answer with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

# Names for unfinished files. Process ids repeat: containers that share a store and a host name all have number 1.
_PROCESS = secrets.token_hex(8)
_NUMBERS = count()


class FileStore(FSFilesStore):
    """A directory. A file appears under its final name complete or not at all, and never over another file.

    Its methods are for worker threads: they wait for the disk.
    """

    INCOMING = ".incoming"

    def __init__(self, basedir: str | os.PathLike[str]) -> None:
        super().__init__(basedir)
        self.root = Path(self.basedir)

    def _mkdir(self, dirname: Path, domain: MediaPipeline.SpiderInfo | None = None) -> None:
        # Scrapy's looks first, and another worker may make it between the two.
        dirname.mkdir(parents=True, exist_ok=True)

    def open(self) -> None:
        """Make a place for unfinished files; those of processes that are gone are removed with it."""
        incoming = self.root / self.INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        for directory in incoming.iterdir():
            if not _alive(directory.name):
                shutil.rmtree(directory, ignore_errors=True)
        self._staging = incoming / f"{os.getpid()}@{platform.node()}"
        self._staging.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty file that is not visible under any final name, and is gone at the end."""
        path = self.unused_path()
        path.touch(exist_ok=False)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def unused_path(self) -> Path:
        """A name below the staging folder that nothing has."""
        return self._staging / f"{_PROCESS}-{next(_NUMBERS):x}"

    @contextmanager
    def staged(self, body: bytes) -> Iterator[Path]:
        """The same with *body* in it."""
        path = self.unused_path()
        try:
            with path.open("xb", buffering=0) as file:
                written = file.write(body)
                while written < len(body):  # a disk that is nearly full takes a part of it
                    written += file.write(memoryview(body)[written:])
            yield path
        finally:
            path.unlink(missing_ok=True)

    def publish(self, staged: Path, stem: str, extension: str, checksum: str, ours: Callable[[str], bool]) -> str:
        """Give the *staged* file a final name and return it, relative to the store.

        The name is *stem* with *extension*; if another file has it, a part of *checksum* is added. A file that
        is there already with the same bytes is left as it is, and one that `ours(name)` says had these bytes
        once is replaced: it was damaged. Raises OSError.
        """
        for name in names_for(stem, extension, checksum):
            path = self.root / name
            try:
                try:
                    _link(staged, path)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _link(staged, path)
            except FileExistsError:
                if self.checksum(name) == checksum:
                    return name
                if path.is_file() and ours(name):
                    staged.replace(path)
                    return name
            else:
                return name
        raise FileExistsError(errno.EEXIST, "every name for this image is taken by another file", stem)

    def checksum(self, name: str) -> str | None:
        """The sha256 of the file *name*, in hex, or None if there is no such file."""
        try:
            with (self.root / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def persist_file(
        self,
        path: str | os.PathLike[str],
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Scrapy's interface, for files that may be made anew at any time (thumbnails)."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.staged(buf.getvalue()) as staged:
            staged.replace(target)


def names_for(stem: str, extension: str, checksum: str) -> tuple[str, ...]:
    """The names a file may get, best first. They follow from the image alone, so doing it twice changes nothing."""
    return (f"{stem}{extension}", f"{stem}-{checksum[:8]}{extension}", f"{stem}-{checksum}{extension}")


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "file exists", str(target)) from error
        source.rename(target)


def _alive(name: str) -> bool:
    """Whether the process that named a staging directory may still be writing into it."""
    pid, _, node = name.partition("@")
    if node != platform.node() or not pid.isdecimal():
        return bool(node)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
