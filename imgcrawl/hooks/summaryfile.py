"""The file that says how a run is, and how it ended."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError, describe
from imgcrawl.feeds.atomic import replacing, write_all
from imgcrawl.ownfiles import whose

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)


def summary_path(settings: BaseSettings, spider: str) -> Path | None:
    """Where RUN_SUMMARY (default: none) is for a run of *spider* that starts now: beside the first feed that is a local
    file, unless it is an absolute path. %(name)s and %(time)s stand in it for what they are in the address of a feed.
    Raises `InputError`."""
    name = str(settings.get("RUN_SUMMARY", "") or "")
    if not name:
        return None
    known = {
        "name": spider,
        "time": datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat().replace(":", "-"),
    }
    unknown = set(re.findall(r"%\((\w*)\)", name)) - known.keys()
    try:
        path = Path(name % known)
    except (KeyError, ValueError, TypeError):
        unknown = unknown or {name}
    if unknown:
        raise InputError(f"RUN_SUMMARY={name}: expected the name of a file, in which %(name)s and %(time)s may stand")
    path = _beside(settings) / path
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"RUN_SUMMARY={name}: {path} cannot be written; expected a file in a folder that is there")
    if why := whose(path):
        raise InputError(f"RUN_SUMMARY={name}: {path} is {why}; expected a file of ours, or a name that is free")
    return path


def _beside(settings: BaseSettings) -> Path:
    for uri in map(str, settings.getdict("FEEDS")):
        if "%(" not in uri and (uri.startswith("file:///") or not re.match(r"[a-z0-9+]+:", uri)):
            folder = Path(uri.removeprefix("file://")).parent
            if folder.is_dir():
                return folder.absolute()
    return Path.cwd()


def write_summary(path: Path, told: Mapping[str, Any]) -> str:
    """Put *told* in the place of what *path* has, in one step. What went wrong, in a sentence."""
    try:
        if why := whose(path):
            return f"{path}, the summary of the run, is {why}: it was not written"
        with replacing(path) as file:
            write_all(file, (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace"))
    except OSError as error:
        return f"{path}, the summary of the run, could not be written: {describe(error)}"
    return ""
