"""Where files go. Any store Scrapy knows works; this one, for directories, writes nothing that could be lost."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BufferedReader, BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from scrapy.exceptions import NotConfigured
from scrapy.pipelines.files import FSFilesStore
from scrapy.pipelines.media import MediaPipeline

from imgcrawl.exceptions import InputError
from imgcrawl.images.names import strip_extension
from imgcrawl.ownfiles import written_by_export
from imgcrawl.pipelines.folders import HANDLES, Folders
from imgcrawl.pipelines.staging import Staging
from imgcrawl.possessive import compile_late

# File systems without hard links (FAT, some network shares) answer with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NOWHERE = frozenset(("", ".", ".."))
_LARGEST = 2**63 - 1
_FTP_WITHOUT_PORT = compile_late(r"(ftp://(?:[^/?#]*@)?(?:[^:/?#@\[\]]+|\[[^\]]*\]))(/.*)?", re.DOTALL)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileStore(FSFilesStore):
    """A directory. A file appears under its final name complete or not at all, and never over another file.

    Below the directory itself no symbolic link is followed, and nothing is read or replaced but regular files: what
    else has a file's name is stepped around, what else has a folder's name is an OSError. With *durable*, a file that
    was published and `sync`ed is there after a power cut, too. Its methods are for worker threads: they wait for the
    disk.
    """

    durable = False

    def __init__(self, basedir: str | os.PathLike[str]) -> None:
        super().__init__(basedir)
        self.root = Path(self.basedir)
        self.folders = Folders(self.root)
        self.staging = Staging(self.root)
        self._synced: set[PurePosixPath] = set()  # folders whose own entry is on disk

    def _mkdir(self, dirname: Path, domain: MediaPipeline.SpiderInfo | None = None) -> None:
        # Scrapy's looks first, and another worker may make it between the two.
        dirname.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def staged(self, body: bytes) -> Iterator[Path]:
        """A file with *body* that is not visible under any final name, and is gone at the end."""
        path = self.staging.unused_path()
        try:
            file = os.open(path, _WRITE, 0o666)
            try:
                written = os.write(file, body)
                while written < len(body):  # a disk that is nearly full takes a part of it
                    written += os.write(file, memoryview(body)[written:])
                if self.durable:
                    os.fsync(file)
            finally:
                os.close(file)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def publish(self, staged: Path, names: Iterable[str], checksum: str, ours: Callable[[str], bool]) -> str:
        """Give the *staged* file the first of *names* that is free, and return it; they are relative to the store.

        A file that is there already with the same bytes (*checksum*) is left as it is, and one that `ours(name)` says
        had these bytes once is replaced: it was damaged. Raises OSError.
        """
        for name in names:
            with self._folder_of(name, create=True) as (folder, last):
                try:
                    _link(staged, last, folder)
                except FileExistsError:
                    if self.checksum(name) != checksum:
                        if not _is_file(last, folder) or not ours(name):
                            continue
                        os.replace(staged, last, dst_dir_fd=folder)
                return name
        raise FileExistsError(errno.EEXIST, "every name for this image is taken by another file", name)

    def checksum(self, name: str) -> str | None:
        """The sha256 of the file *name*, in hex, or None if there is no such file."""
        try:
            with self._opened(name) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError):  # of names with a NUL
            return None

    def body(self, name: str, most: int) -> bytes:
        """What is in the file *name*. Raises OSError, also for one of more than *most* bytes, and ValueError."""
        with self._opened(name) as file:
            content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)  # room for as many is made at once
        if len(content) > most:
            raise OSError(errno.EFBIG, f"it has more than {most} bytes", name)
        return content

    @contextmanager
    def _opened(self, name: str) -> Iterator[BufferedReader]:
        with self._folder_of(name) as (folder, last), os.fdopen(os.open(last, _READ, dir_fd=folder), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "is no file", name)
            yield file

    def stat(self, name: str) -> tuple[int, int, int] | None:
        """Size, modification time in ns and inode of the file *name*, or None if there is no such file."""
        try:
            with self._folder_of(name) as (folder, last):
                found = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except (OSError, ValueError):  # of names with a NUL
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size, found.st_mtime_ns, found.st_ino & _LARGEST  # as large as a database takes it

    def is_gone(self, name: str) -> bool:
        """Whether there surely is nothing under *name*: its place was looked at, in a store that is there."""
        try:
            with self._folder_of(name) as (folder, last):
                os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return self.root.is_dir()
        except (OSError, ValueError):  # of names with a NUL
            return False
        return False

    def files(self) -> Iterator[str]:
        """The names of all files that people see, but for thumbnails, which may be made anew at any time, and for what
        an export has written beside the images. One that is no UTF-8 is told with escapes, and is in no catalogue."""
        with written_by_export(self.root) as is_exported:
            for folder, folders, files in os.walk(self.root):
                is_root = Path(folder) == self.root
                hidden = {"thumbs"} if is_root else set()
                folders[:] = [each for each in folders if not each.startswith(".") and each not in hidden]
                for name in files:
                    path = Path(folder, name).relative_to(self.root).as_posix()
                    path = path.encode("utf-8", "backslashreplace").decode()
                    if not (is_root and name.startswith(".")) and not is_exported(path):
                        yield path

    def thumbnails_of(self, name: str) -> list[str]:
        """What the thumbnails of the file *name* are called, if it has some (`ImagesPipeline.thumb_path`)."""
        stem = strip_extension(str(PurePosixPath(name).with_suffix("")))
        sizes = sorted(folder.name for folder in (self.root / "thumbs").glob("*"))
        return [f"thumbs/{size}/{stem}{kind}" for size in sizes for kind in (".jpg", ".png")]

    def remove(self, name: str) -> None:
        """Remove the file *name*, if there is one. Raises OSError."""
        with suppress(FileNotFoundError), self._folder_of(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def link(self, name: str, new: str) -> None:
        """Give the file *name* the name *new*, too; where the file system has no hard links, in place of its own.
        Raises FileExistsError where *new* is taken, and OSError."""
        with self._folder_of(name) as (folder, last), self._folder_of(new, create=True) as (other, new_last):
            _link(last, new_last, other, folder)

    def remove_empty_folders(self, name: str) -> None:
        """Remove the folder of the file *name*, which is gone, and those above it, as far as nothing is in them."""
        with suppress(OSError):
            for folder in PurePosixPath(name).parents[:-1]:
                with self._folder_of(str(folder)) as (handle, last):
                    os.rmdir(last, dir_fd=handle)

    @contextmanager
    def linked(self, name: str) -> Iterator[Path | None]:
        """A hard link to the file *name* that is visible under no final name, and is gone at the end; None where the
        file system has none."""
        with self.staging.unused() as path:
            try:
                with self._folder_of(name) as (folder, last):
                    os.link(last, path, src_dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                yield None
            else:
                yield path

    def sync_staged(self, staged: Path) -> None:
        """Wait until a file that others have written is on disk, if the store is *durable*."""
        if self.durable:
            with staged.open("rb") as file:
                os.fsync(file.fileno())

    def sync(self, names: Iterable[str]) -> None:
        """Wait until the names of published files are on disk, if the store is *durable*. Raises OSError."""
        if not self.durable or not HANDLES:
            return
        folders = {PurePosixPath(name).parent for name in names}
        new = {parent for folder in folders for parent in folder.parents if folder not in self._synced}
        for folder in folders | new:
            with self._folder_of(str(folder / "-")) as (handle, _):
                if handle is not None:
                    os.fsync(handle)
        self._synced |= folders
        if len(self._synced) > 10_000:
            self._synced.clear()

    def persist_file(
        self,
        path: str | os.PathLike[str],
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Scrapy's interface, for files that may be made anew at any time (thumbnails)."""
        with self.staged(buf.getvalue()) as staged, self._folder_of(os.fspath(path), create=True) as (folder, last):
            os.replace(staged, last, dst_dir_fd=folder)
        self.sync([os.fspath(path)])

    def _folder_of(self, name: str, *, create: bool = False) -> AbstractContextManager[tuple[int | None, str]]:
        """`Folders.of` for a *name* that may come from outside. Raises OSError."""
        if not is_plain(name):
            raise OSError(errno.EINVAL, "not a path below the store", name)
        return self.folders.of(name, create=create)


def full_address(uri: str | os.PathLike[str]) -> str:
    """The address of a store, with what Scrapy's stores need in it: the slash behind a bucket, or its prefix, and the
    port of an FTP server."""
    uri = os.fspath(uri)
    if match := _FTP_WITHOUT_PORT.fullmatch(uri):
        return f"{match[1]}:21{match[2] or ''}"
    return f"{uri}/" if uri.startswith(("s3://", "gs://")) and not uri.endswith("/") else uri


def unusable(uri: str | os.PathLike[str], error: Exception) -> InputError:
    """What is said of a store at *uri* that *error* does not let be used."""
    shown = f"IMAGES_STORE={os.fspath(uri)!r}"
    if isinstance(error, NotConfigured | ImportError):
        return InputError(
            f"{shown} needs a library ({error}); install it with imgcrawl[s3] for s3://, with imgcrawl[gcs] for gs://"
        )
    why = "no such kind of store" if isinstance(error, KeyError) else error  # of Scrapy's STORE_SCHEMES
    return InputError(
        f"{shown} cannot be used ({why}); expected a directory that can be written to, or the address of a store "
        "that Scrapy knows (s3://, gs://, ftp://)"
    )


def is_plain(name: str) -> bool:
    """Whether *name*, which may come from outside, is a path below the store and nothing else."""
    foreign = "\\:" if os.name == "nt" else "\0"
    return _NOWHERE.isdisjoint(name.split("/")) and not any(each in name for each in foreign)


def _is_file(name: str, folder: int | None) -> bool:
    return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _link(source: str | Path, name: str, folder: int | None, source_folder: int | None = None) -> None:
    try:
        os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
        else:
            raise FileExistsError(errno.EEXIST, "file exists", name) from error
