"""Facts of this process, and of the hosts that it does not ask now."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

HOSTS = 20  # that are told of


def group_of(parent: int) -> str:
    """The name of the group of workers that the process *parent* of this machine leads."""
    return f"parent {socket.gethostname()} {parent}"


def working_folder() -> str:
    """Where this process was started, or "" if that is no more."""
    with suppress(OSError):
        return str(Path.cwd())
    return ""


def store_of(settings: BaseSettings) -> str:
    """IMAGES_STORE, from wherever one looks."""
    store = str(settings.get("IMAGES_STORE") or "")
    return str(Path(store).absolute()) if store and "://" not in store else printable(store)  # without a password


def waiting_for_hours(waiting: str) -> list[dict[str, Any]]:
    """The hosts that wait for their CRAWL_HOURS, as the stat `budget/waiting` tells of them."""
    now = datetime.now().astimezone()
    found = []
    for host, until, at in (each.partition(" until ") for each in waiting.split(", ")[:HOSTS]):
        hour, _, minute = at.partition(":")
        if until and hour.isdecimal() and minute.isdecimal():
            begin = now.replace(hour=int(hour) % 24, minute=int(minute), second=0, microsecond=0)
            begin += timedelta(days=begin <= now)
            found.append(
                {"host": host, "active": 0, "limit": 0, "delay": 0.0, "reason": "hours", "until": begin.timestamp(),
                 "waiting": 0, "answered": 0}
            )  # fmt: skip
    return found


def memory() -> int:
    """Bytes of memory that this process has now, or had at the most where the system does not say."""
    if sys.platform == "win32":
        return 0
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource  # noqa: PLC0415 -- not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
