"""Whether what stands under a name of ours is surely ours: others may have taken a name that can be foreseen."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def whose(path: Path) -> str:
    """Why what stands at *path* is surely not a file of ours, or ""."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ""
    if kind := _KINDS.get(stat.S_IFMT(status.st_mode)):
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
        return _KINDS.get(stat.S_IFMT(status.st_mode), "a file")
    if _is_anothers(status):
        return "a folder of another user"
    return "a folder that anybody may write to" if os.name == "posix" and status.st_mode & stat.S_IWOTH else ""


def is_of_a_stranger(path: Path) -> bool:
    """Whether the file at *path* belongs neither to us, nor to root, nor to whom its folder belongs."""
    return _is_anothers(status := path.lstat()) and status.st_uid not in {0, path.parent.stat().st_uid}


def _is_anothers(status: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and status.st_uid != os.geteuid()
