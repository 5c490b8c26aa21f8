"""A small disk, which can be full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """*folder* as a disk of *size* ("24m"). False where this process may not mount one: it is a plain folder then."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "imgcrawl-tests", str(folder)]
    is_mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607 -- as mount above


def remount(folder: Path, options: str) -> None:
    """Give the disk at *folder* other *options* ("size=8m")."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)  # noqa: S607 -- the same
