"""Whether what stands under a name of ours is surely ours: others may have taken a name that can be foreseen."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from imgcrawl.exceptions import InputError
from imgcrawl.regularfiles import KINDS, UNSEEN, descriptor_of

OPEN: Final = os.O_RDWR | os.O_CREAT | UNSEEN
EXPORT_NOTES: Final = ".export.sqlite3"  # what an export has written into the folder of these
_SQLITE: Final = b"SQLite format 3\0"


def whose(path: Path) -> str:
    """Why what stands at *path* is surely not a file of ours, or ""."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ""
    if kind := KINDS.get(stat.S_IFMT(status.st_mode)):
        return kind
    if _is_anothers(status):
        return "a file of another user"
    return "a file with another name besides" if status.st_nlink > 1 else ""


def whose_folder(path: Path) -> str:
    """Why the folder at *path* is surely not ours alone, or "": then so is all that stands in it."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISDIR(status.st_mode):
        return KINDS.get(stat.S_IFMT(status.st_mode), "a file")
    if _is_anothers(status):
        return "a folder of another user"
    return "a folder that anybody may write to" if os.name == "posix" and status.st_mode & stat.S_IWOTH else ""


def open_own(path: Path) -> io.FileIO:
    """The file of ours at *path*, to read and write; it is made if there is none. Raises OSError, and InputError if
    something else stands there, which is left as it is."""
    why = whose(path)
    if not why:
        file = io.FileIO(os.open(path, OPEN, 0o666), "r+b")
        # It may have been put there since.
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1 and not _is_anothers(status):
            return file
        file.close()
        why = whose(path) or "something else"
    raise InputError(
        f"{path} is {why}, and a file of ours is to stand there: remove it, or choose another name or folder."
    )


def read_file(path: Path, most: int | None = None, *, follow: bool = True) -> bytes:
    """The bytes of the file at *path*, which with *follow* may be a link. Raises OSError, also for what is no file,
    which is not waited for, and for one of more than *most* bytes.
    """
    with os.fdopen(descriptor_of(path, follow=follow), "rb") as file:
        content = file.read(-1 if most is None else most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return content


def check_database(path: Path, expected: str) -> None:
    """Raise `InputError` if what stands at *path*, or where SQLite has files of its own beside it, is no file, no
    database, or a stranger's: SQLite would follow a link, and wait for a pipe."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        try:
            status = file.lstat()
            why = KINDS.get(stat.S_IFMT(status.st_mode), "")
            # A database may: backups are made of such names.
            if not why and status.st_nlink > 1 and (suffix or not _is_database(file)):
                why = "a file with another name besides (a copy has one name)"
            if not why and not suffix and status.st_size and not _is_database(file):
                why = "no database"
            if not why and is_of_a_stranger(file):
                why = "a file of another user"
        except FileNotFoundError:
            continue
        if why:
            raise InputError(f"{file} is {why}; expected {expected}")


def touch_own(path: Path) -> None:
    """Have the file of ours at *path* be of this moment; it is made if there is none. Raises as `open_own`."""
    with open_own(path) as file:
        os.utime(file.fileno() if os.utime in os.supports_fd else path)


@contextmanager
def written_by_export(folder: Path) -> Iterator[Callable[[str], bool]]:
    """What tells whether an export, with *folder* as its target, has written a file there."""
    notes = folder / EXPORT_NOTES
    try:
        check_database(notes, "the notes of an export")
        there = notes.exists()
    except InputError:
        there = False
    with closing(sqlite3.connect(notes if there else ":memory:")) as known:

        def is_written(name: str) -> bool:
            with suppress(sqlite3.Error):  # there are no notes, or they are damaged
                return known.execute("SELECT 1 FROM parts WHERE name = ?", (name,)).fetchone() is not None
            return False

        yield is_written


def _is_database(path: Path) -> bool:
    # SQLite looks, and not `open`: to close a file is to let go of the locks that the whole process has on it.
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            return True  # SQLite tells
        with path.open("rb") as file:  # which nobody has open
            return file.read(len(_SQLITE)) == _SQLITE  # a damaged one
    return path.stat().st_size > 0


def is_of_a_stranger(path: Path) -> bool:
    """Whether the file at *path* belongs neither to us, nor to root, nor to whom its folder belongs."""
    return _is_anothers(status := path.lstat()) and status.st_uid not in {0, path.parent.stat().st_uid}


def _is_anothers(status: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and status.st_uid != os.geteuid()
