"""gallery-dl's archive of downloads: what it has fetched and does not fetch again, also where its files are gone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from string import Formatter
from typing import Any

from imgcrawl.exceptions import InputError

_EXPECTED = "expected the archive of gallery-dl (SQLite), or the folder of its files, with a .json beside each"
# An entry is a site's name and, behind it, what its extractor says of a file. The whole address stands there for
# `generic`; for `directlink` all but its scheme and its query.
_ADDRESS = re.compile(r"[^:/]*?(https?://.+)", re.DOTALL)
_WITHOUT_SCHEME = "directlink"
# What the extractors of most sites say (`archive_fmt`).
_FORMS = (
    *("{id}", "{id}_{num}", "{id}_{filename}", "{id}_{hash}", "{filename}", "{hash}", "{md5}", "{imageurl}"),
    *(
        "{gallery_id}_{num}",
        "{gallery_id}_{image_token}",
        "{id}{suffix}.{extension}",
        "{domain}/{path}/{filename}.{extension}",
    ),
)


class Archive:
    """The archive in the file *path*: *count* entries, of which *others*, once `addresses` has read all, name no
    address. Raises `InputError` for what is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.others = 0
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            (self.count,) = self._db.execute("SELECT count(*) FROM archive").fetchone()
        except sqlite3.Error as error:
            raise InputError(f"{path}: {error}; {_EXPECTED}") from error

    def has(self, known: Mapping[str, Any]) -> bool:
        """Whether the file of which this is *known* (a .json of gallery-dl's) was fetched."""
        site = str(known.get("category") or "")
        entries = []
        for form in _FORMS:
            with suppress(KeyError, ValueError, TypeError):
                entries.append(site + Formatter().vformat(form, (), known))
        places = ", ".join("?" * len(entries))
        sql = f"SELECT 1 FROM archive WHERE entry IN ({places}) LIMIT 1"  # noqa: S608 -- placeholders
        return self._db.execute(sql, entries).fetchone() is not None

    def addresses(self) -> Iterator[str]:
        """The addresses that were fetched."""
        for (entry,) in self._db.execute("SELECT entry FROM archive"):
            if match := _ADDRESS.fullmatch(str(entry)):
                yield match[1]
            elif str(entry).startswith(_WITHOUT_SCHEME):
                place = str(entry).removeprefix(_WITHOUT_SCHEME).replace("//", "/", 1)  # of a file in no folder
                yield from (f"{scheme}://{place}" for scheme in ("https", "http"))
            else:
                self.others += 1

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
