"""Parquet: a row for each image, with its bytes or its path, and its fields in columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from typing import IO, Any

from imgcrawl.exceptions import InputError
from imgcrawl.exports.options import ExportOptions, groups
from imgcrawl.exports.pictures import Bodies, Picture, Pictures, as_text, digest_of
from imgcrawl.exports.target import Part, left_empty

ROWS = 100  # in a row group: what a reader has in memory
_INT64 = 1 << 63


def parts(pictures: Pictures, bodies: Bodies, options: ExportOptions) -> Iterator[Part]:
    """`00000.parquet` …, all with the same columns. The fields are read twice, the first time for their kinds."""
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError("--to parquet needs the library pyarrow; install it with imgcrawl[parquet]") from error
    columns = _columns(pictures)
    for number, group in enumerate(groups(pictures, options.per_file)):
        rows = [[_cell(picture.row.get(name), kind) for name, kind in columns.items()] for picture in group]
        digest = digest_of(columns, rows, [picture.caption for picture in group], options.with_bytes)
        write = partial(_write, group, columns, bodies, options.with_bytes)
        yield Part(f"{number:05}.parquet", digest, write)


def _columns(pictures: Iterable[Picture]) -> dict[str, str]:
    """Each field of some picture, with the kind of all its values. `image` and `caption` are columns of their own."""
    kinds: dict[str, set[str]] = {}
    for picture in pictures:
        for name, value in picture.row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    columns = {}
    for name, found in kinds.items():
        found.discard("none")
        columns[name] = found.pop() if len(found) == 1 else "double" if found == {"int64", "double"} else "string"
    columns.pop("image", None)
    columns.pop("caption", None)
    return columns


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -_INT64 <= value < _INT64 else "string"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "list"
    return "string"


def _cell(value: Any, kind: str) -> Any:
    if value is None or kind in ("bool", "int64"):
        return value
    if kind == "double":
        return float(value)  # an integer beyond 2 ** 53 is none that pyarrow takes for one
    if kind == "list":
        return [_utf8(one) for one in value]
    return _utf8(as_text(value))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no UTF-8


def _schema(columns: dict[str, str]) -> Any:
    pa = import_module("pyarrow")
    kinds = {
        "bool": pa.bool_(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "list": pa.list_(pa.string()),
        "string": pa.string(),
    }
    # As the datasets library has images.
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    named = {"image": image, "caption": pa.string()} | {name: kinds[kind] for name, kind in columns.items()}
    return pa.schema(list(named.items()))


def _write(group: list[Picture], columns: dict[str, str], bodies: Bodies, with_bytes: bool, file: IO[bytes]) -> bool:
    pa = import_module("pyarrow")
    schema = _schema(columns)
    complete, before = True, bodies.count
    with import_module("pyarrow.parquet").ParquetWriter(file, schema) as writer:
        for start in range(0, len(group), ROWS):
            rows = []
            for picture in group[start : start + ROWS]:
                body = bodies.of(picture)
                if body is None:
                    complete = False
                    continue
                image = {"bytes": body if with_bytes else None, "path": picture.path}
                cells = {name: _cell(picture.row.get(name), kind) for name, kind in columns.items()}
                rows.append({"image": image, "caption": _utf8(picture.caption), **cells})
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return complete if bodies.count > before else left_empty(file)
