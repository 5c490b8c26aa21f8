"""The items of feeds as crawls, and `scrapy galleries`, have written them: also of those with a row for each image."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from imgcrawl.exceptions import InputError, describe
from imgcrawl.feeds.exporters import without_apostrophes
from imgcrawl.feeds.reader import entries
from imgcrawl.items import IMAGE_FIELDS, is_row

MAX_CELL = 1 << 28  # characters; a gallery may have very many images in one
_ROWS = 100  # of a .parquet, that are held
_NUMBERS = ("bytes", "width", "height", "frames")
# What is a text in every item, and in every outcome.
_TEXTS = {
    *("spider", "url", "title", "scraped_at", "error", "caption", "author", "date", "license", "credit_text"),
    *("acquire_license_page", "final_url", "name", "other_titles", "quote", "domain", "parent", "gallery_url"),
    *("status", "reason", "requested_path", "path", "checksum", "format", "etag", "last_modified", "fetched_at"),
    *("image_name", "image_page"),
}
_WORDS = {"warnings", "opt_outs", "gallery_opt_outs"}  # lists, whose words stand in a cell with commas
_VIDEOS = {"MP4", "QuickTime", "WebM", "Matroska", "FLV", "AVI", "Ogg", "MPEG-TS", "MPEG-PS"}


class FeedItems:
    """The items of the feed at *path*: .csv, .parquet, a JSON array or JSON Lines. *problems* tells what is none.

    Cells of a .csv are texts: of what is no field that every gallery has, those that are numbers are read as such.
    *opened* gives the file to read, where that is not the one at *path*. Raises `InputError` for what cannot be read.
    """

    def __init__(self, path: Path, opened: Callable[[], io.BufferedReader] | None = None) -> None:
        self.path = path
        self.problems: list[str] = []
        self._opened = opened or (lambda: path.open("rb"))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            read = {".csv": self._cells, ".parquet": self._table}.get(self.path.suffix.lower(), self._objects)
            for item in galleries(read()):
                if is_item(item):
                    yield item
                else:
                    self.problems.append(f"{self.path}: no item of a crawl: {json.dumps(item)[:60]}")
        except (OSError, ValueError, csv.Error) as error:  # Parquet's errors are of the first two
            raise InputError(f"{self.path} cannot be read: {describe(error)}; expected a feed of a crawl") from error

    def _objects(self) -> Iterator[dict[str, Any]]:
        with self._opened() as file:
            for entry in entries(file):
                if entry.item is None:
                    self.problems.append(f"{self.path}: {entry.place} is no item")
                else:
                    yield entry.item

    def _table(self) -> Iterator[dict[str, Any]]:
        try:
            parquet = import_module("pyarrow.parquet")
        except ImportError as error:
            raise InputError(f"{self.path} needs a library ({error}); install it with imgcrawl[parquet]") from error
        with parquet.ParquetFile(self.path) as file:
            for row in (row for batch in file.iter_batches(_ROWS) for row in batch.to_pylist()):
                item = _without_nulls(row)
                # A column whose values are of several kinds is of texts.
                yield {name: _object(value) if name not in _TEXTS else value for name, value in item.items()}

    def _cells(self) -> Iterator[dict[str, Any]]:
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            for row in _large_rows(csv.DictReader(file)):
                if None in row or None in row.values():
                    self.problems.append(f"{self.path}: a row of another number of cells than its header has")
                else:
                    cells = {without_apostrophes(name): without_apostrophes(cell) for name, cell in row.items() if cell}
                    item = {name: _value(name, cell) for name, cell in cells.items()}
                    yield item if "status" in item or "images" not in row else self._whole(item)

    def _whole(self, item: dict[str, Any]) -> dict[str, Any]:
        """*item*, a gallery in one row, with its lists of texts, whose cells are parted by commas."""
        for media in ("image", "video"):
            outcomes = item.setdefault(f"{media}s", []) if media == "image" else item.get(f"{media}s", [])
            if f"{media}_urls" in item:
                item[f"{media}_urls"] = [each.get("url") for each in outcomes if isinstance(each, dict)]
            for column in (f"{media}_{kind}" for kind in ("names", "pages", "paths")):
                values = str(item.get(column, "")).split(",")
                if column in item and len(values) == len(outcomes):
                    item[column] = values
                elif item.pop(column, None):
                    self.problems.append(f"{self.path}: {column} of {item.get('url')} cannot be told apart")
        item.setdefault("image_urls", [])
        return item


def _large_rows(reader: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    """The rows of *reader*, with cells of up to MAX_CELL. The module's limit is everybody's, so it is only lent."""
    row: dict[str, Any] | None = {}
    while row is not None:
        limit = csv.field_size_limit(MAX_CELL)
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(limit)
        if row is not None:
            yield row


def is_item(item: Mapping[str, Any]) -> bool:
    """Whether what is read of *item* is of the kinds that a crawl writes."""
    for media in ("image", "video"):
        urls, outcomes = item.get(f"{media}_urls") or [], item.get(f"{media}s") or []
        if not isinstance(urls, list) or not isinstance(outcomes, list) or len(urls) != len(outcomes):
            return False
        if not all(isinstance(each, dict) and _is_outcome(each) for each in outcomes):
            return False
        for column in ("names", "pages", "paths"):
            values = item.get(f"{media}_{column}") or []
            if not isinstance(values, list) or not all(isinstance(each, str | None) for each in values):
                return False
    return "images" in item or "videos" in item or "error" in item


def _is_outcome(outcome: Mapping[str, Any]) -> bool:
    texts = ("url", "status", "reason", "requested_path", "path", "checksum", "format", "final_url", "etag")
    if not all(isinstance(outcome.get(name, ""), str) for name in (*texts, "last_modified", "fetched_at", "verified")):
        return False
    lists = (outcome.get(name, []) for name in ("opt_outs", "warnings"))
    return (
        {"url", "status"} <= outcome.keys()
        and all(isinstance(outcome.get(name, 0), int) for name in _NUMBERS)
        and all(isinstance(words, list) and all(isinstance(word, str) for word in words) for words in lists)
    )


def galleries(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """*records* with the rows of images that follow one another as the gallery they are of."""
    gallery: dict[str, Any] | None = None
    known_by: Any = None
    last = 0
    for record in records:
        if not is_row(record):
            if gallery:
                yield gallery
            gallery = None
            yield record
            continue
        key = [record.get(name) for name in ("spider", "gallery_url", "title", "parent", "scraped_at")]
        index = record.get("index")
        number = index if isinstance(index, int) else 1
        if gallery is None or key != known_by or number <= last:
            if gallery:
                yield gallery
            gallery = _own_fields(record)
        known_by, last = key, number
        if "status" in record:
            _add(gallery, record)
    if gallery:
        yield gallery


def _own_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in row if name not in {*IMAGE_FIELDS, "image_name", "image_page"}]
    item = {_own_name(name): row[name] for name in names}
    return item | {"image_urls": [], "images": []}


def _own_name(name: str) -> str:
    own = name.removeprefix("gallery_")
    return own if own in IMAGE_FIELDS else name


def _add(gallery: dict[str, Any], row: Mapping[str, Any]) -> None:
    media = "video" if row.get("format") in _VIDEOS else "image"
    outcome = {name: row[name] for name in row if name in IMAGE_FIELDS and name != "index"}
    outcomes = gallery.setdefault(f"{media}s", [])
    gallery.setdefault(f"{media}_urls", []).append(row.get("url"))
    outcomes.append(outcome)
    for column, name in (("names", "image_name"), ("pages", "image_page")):
        if name in row:
            values = gallery.setdefault(f"{media}_{column}", [])
            values += [""] * (len(outcomes) - 1 - len(values)) + [row[name]]
    if "facts" in outcome:
        gallery.setdefault("image_facts", {})[row.get("url")] = outcome["facts"]


def _without_nulls(value: Any) -> Any:
    """*value* of a table, in which each row has all fields of all rows."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _object(value: Any) -> Any:
    """*value*, read if it is the JSON text of an object or a list."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _value(name: str, cell: str) -> Any:
    """What a *cell* of a .csv was before it was written."""
    if name in _TEXTS:
        return cell
    if name in _WORDS and not cell.startswith("["):
        return cell.split(",")
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    # 007 is a text.
    return value if isinstance(value, dict | list | bool) or json.dumps(value) == cell else cell
