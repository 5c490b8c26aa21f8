"""Feeds that are local files, and how each format is written."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.utils.misc import load_object
from w3lib.url import file_uri_to_path

from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings


def local_feeds(feeds: dict[str, dict[str, Any]]) -> dict[Path, dict[str, Any]]:
    """The files of FEEDS. Raises InputError for a feed that is no local file, or cannot be one."""
    found = {}
    for uri, options in feeds.items():
        path = local_path(str(uri))
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        except OSError as error:
            raise InputError(f"Feed {path} cannot be written: {error.strerror}.") from error
        if not stat.S_ISREG(mode):  # it would be replaced, even /dev/null
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise InputError(f"Feed {path} is {what}, a file is needed.")
        found[path] = options
    return found


def local_path(uri: str) -> Path:
    """The file of *uri*, a path or `file:///...`. Raises InputError for what is neither.

    An address with a host is refused: `file://tmp/x.json` would be `/x.json`.
    """
    if re.match(r"file://(?!/|localhost/)|(?!file:)[^/]*://|stdout:$", uri):
        raise InputError(f"Feed {uri}: expected a local file, as in images.json or file:///tmp/images.json")
    path = file_uri_to_path(uri) if uri.startswith("file:") else uri
    if not path or "\0" in path:
        raise InputError(f"Feed {uri!r}: expected the name of a file")
    return Path(path)


def exporter_for(settings: BaseSettings, format_: str) -> tuple[Any, dict[str, Any]]:
    """The exporter of a format, and what the settings say about how it writes."""
    options: dict[str, Any] = {"encoding": settings["FEED_EXPORT_ENCODING"] or "utf-8"}
    if fields := settings["FEED_EXPORT_FIELDS"]:
        options["fields_to_export"] = fields
    return load_object(settings.getwithbase("FEED_EXPORTERS")[format_]), options
