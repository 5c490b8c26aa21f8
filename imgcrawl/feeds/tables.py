"""Items that are all there at once, as a file: JSON, JSON Lines, CSV, Parquet; each in one step."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.atomic import replacing, write_all

Items = Callable[[], Iterable[dict[str, Any]]]
_BY_ADDRESS = "image_facts"  # as text: each address would be a field that all rows have
BATCH = 500  # items of one group of a Parquet file, and those that are held


def write_table(path: Path, items: Items, *, formulas: str = "escape") -> int:
    """Write *items*, which may be asked for twice, to *path* as its suffix says, in place of what is there; return how
    many there were. If there are none, or an error is raised, what is there stays.

    Columns of CSV and Parquet are all fields that some item has; *formulas* is FEED_CSV_FORMULAS. Raises `InputError`
    for a suffix that is not known, and OSError.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: expected a name that ends in {', '.join(_WRITERS)}")
    if next(iter(items()), None) is None:
        return 0
    with replacing(path) as file, io.BufferedWriter(_Unclosed(file)) as buffered:
        count = write(buffered, items, formulas)
        buffered.flush()
    return count


def json_line(item: dict[str, Any]) -> bytes:
    """*item* as JSON in UTF-8, on one line."""
    try:
        return json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character, which only an escape can tell
        return json.dumps(item).encode()


class _Unclosed(io.RawIOBase):
    """A file that others close: whoever writes into it closes what it is given."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return write_all(self._file, data)


def _json(file: IO[bytes], items: Items, _: str) -> int:
    count = 0
    for item in items():
        file.write((b",\n" if count else b"[\n") + json_line(item))
        count += 1
    file.write(b"\n]\n")
    return count


def _json_lines(file: IO[bytes], items: Items, _: str) -> int:
    count = 0
    for item in items():
        file.write(json_line(item) + b"\n")
        count += 1
    return count


def _csv(file: IO[bytes], items: Items, formulas: str) -> int:
    from imgcrawl.feeds.exporters import CsvItemExporter  # noqa: PLC0415 -- Scrapy is for who has feeds

    columns = list(dict.fromkeys(name for item in items() for name in item))
    exporter = CsvItemExporter(file, fields_to_export=columns, formulas=formulas)
    exporter.start_exporting()
    count = 0
    for item in items():
        exporter.export_item({name: _plain(value) for name, value in item.items()})
        count += 1
    exporter.finish_exporting()
    return count


def _plain(value: Any) -> Any:
    """*value* as a cell: no text of Python's."""
    return str(value).lower() if isinstance(value, bool) else value


def _parquet(file: IO[bytes], items: Items, _: str) -> int:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(f"a .parquet needs a library ({error}); install it with imgcrawl[parquet]") from error
    kinds: dict[str, Any] = {}
    for batch in _batches(items()):
        for name in {name: None for item in batch for name in item}:
            values = [item.get(name) for item in batch] if name != _BY_ADDRESS else [""]
            kinds[name] = _kind(pa, kinds.get(name, pa.null()), values)
    schema = pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in kinds.items()])
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        for batch in _batches(items()):
            rows = [{name: _cell(item.get(name), kinds[name] == pa.string()) for name in kinds} for item in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(batch)
    return count


def _batches(items: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _kind(pa: Any, known: Any, values: list[Any]) -> Any:
    """What a column is that was *known* as one kind and has these *values*, too; text where nothing else has all."""
    try:
        here = pa.array(values).type
        both = [pa.schema([("c", known)]), pa.schema([("c", here)])]
        return pa.unify_schemas(both, promote_options="permissive").field("c").type
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        return pa.string()


def _cell(value: Any, is_text: bool) -> Any:
    if not is_text or value is None:
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


_WRITERS: dict[str, Callable[[IO[bytes], Items, str], int]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
