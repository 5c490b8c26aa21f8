"""The page: one file with all that it shows, or the frame of what a server sends piece by piece."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from imgcrawl.report.columns import Columns, as_script
from imgcrawl.report.logs import LogTally
from imgcrawl.report.pictures import ReportFiles
from imgcrawl.report.records import GalleryRecord
from imgcrawl.report.survey import Survey
from imgcrawl.report.tally import Tally

FORMAT: Final = 1
SCRIPTS: Final = ("data.js", "charts.js", "list.js", "page.js")
_GROUP: Final = 100  # small copies in one element
# Nothing is asked for but images of the folder that the page is in, or below, and nothing is sent.
_POLICY: Final = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src 'self' data: file:; base-uri 'none';"
    " form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class FilePage:
    """Galleries as one file of HTML. *stored* are the files that images are shown from, *store* is their address."""

    def __init__(self, stored: ReportFiles, store: str) -> None:
        self._stored = stored
        self._store = store
        self._columns = Columns()
        self._survey = Survey()
        self._firsts: list[tuple[int, int, str]] = []  # of each image its place in its gallery, its number, its path

    @property
    def count(self) -> int:
        return self._columns.count

    def add(self, gallery: GalleryRecord) -> None:
        self._survey.add(gallery)
        total = len(gallery.images)
        self._columns.add_gallery(self.galleries - 1, gallery, total=total, shown=total)
        for place, image in enumerate(gallery.images):
            has_file = bool(image.path) and self._stored.has(image.path)
            number = self.count
            if has_file:
                self._firsts.append((place, number, image.path))
            thumb = self._stored.thumb_of(image.path) if has_file else ""
            can_be_opened = has_file and self._stored.root is not None  # of objects there are small copies only
            self._columns.add_image(number, image, has_file=can_be_opened, thumb=thumb)

    @property
    def galleries(self) -> int:
        return self._survey.counts["galleries"]

    def stored_images(self) -> list[tuple[int, str]]:
        """Numbers and paths of the images whose files are there."""
        return sorted((number, path) for _, number, path in self._firsts)

    def html(self, head: dict[str, Any], thumbnails: int) -> Iterator[bytes]:
        """The file, in pieces; *thumbnails*: how many images have a small copy in it, galleries' first ones first."""
        numbers, copies = [], []
        chosen = sorted(self._firsts)[:thumbnails]
        made = self._stored.small_copies(path for *_, path in chosen)
        for (_, number, _), copy in zip(chosen, made, strict=True):
            if copy:
                numbers.append(number)
                copies.append(copy)
        head = {**head, **self._survey.as_json(), "store": self._store, "thumbs": numbers, "per_group": _GROUP}
        yield from _file(head, self._columns.as_json(), copies)


def head_of(title: str, sources: Sequence[str], tally: Tally, logs: LogTally) -> dict[str, Any]:
    """What stands at the top of a report: of what it tells, when it was made, and its charts."""
    return {
        "format": FORMAT,
        "title": title,
        "sources": list(sources),
        "made": int(time.time()),
        "charts": tally.charts(),
        "logs": logs.charts(),
    }


def served_page() -> bytes:
    """The frame of a page that asks its server for what it shows."""
    return _frame('<link rel="stylesheet" href="report.css">', '<script src="report.js" defer></script>', "").encode()


@cache
def style() -> str:
    return _static("report.css")


@cache
def script() -> str:
    return "".join(["'use strict';\n(() => {\n", *map(_static, SCRIPTS), "})();\n"])


def _file(head: dict[str, Any], chunk: dict[str, Any], copies: Sequence[tuple[bytes, str]]) -> Iterator[bytes]:
    policy = _POLICY.format(script=_hash(script()), style=_hash(style()))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{style()}</style>'
    before, _, after = _frame(meta, f"<script>{script()}</script>", "\0").partition("\0")
    yield before.encode()
    for kind, value in (("report", head), ("chunk", chunk)):
        yield f'<script type="application/json" id="{kind}">{as_script(value)}</script>\n'.encode("utf-8", "replace")
    for group in _groups(copies):
        lines = "\n".join(
            f"{'p' if ending == '.png' else 'j'}{base64.b64encode(copy).decode()}" for copy, ending in group
        )
        yield f'<script type="text/plain" class="thumbs">{lines}</script>\n'.encode()
    yield after.encode()


def _groups(copies: Sequence[tuple[bytes, str]]) -> Iterable[Sequence[tuple[bytes, str]]]:
    return (copies[start : start + _GROUP] for start in range(0, len(copies), _GROUP))


def _frame(head: str, script: str, data: str) -> str:
    frame = _static("report.html")
    for place, text in (("<!-- head -->", head), ("<!-- data -->", data), ("<!-- script -->", script)):
        frame = frame.replace(place, text)
    return frame


def _static(name: str) -> str:
    return files("imgcrawl.report").joinpath("static", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
