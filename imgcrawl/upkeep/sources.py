"""What other tools, and people, have left: files of images, and the addresses that they are from."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from imgcrawl.exceptions import InputError
from imgcrawl.ownfiles import read_file
from imgcrawl.rows.reader import open_records, open_rows
from imgcrawl.rows.records import BadRow
from imgcrawl.upkeep.archives import Archive
from imgcrawl.upkeep.tfrecords import examples

# Fields in which what gallery-dl writes has the address of a file, the surest first: extractors differ, and
# `url-metadata` adds one.
_ADDRESSES = (
    "url",
    "file_url",
    "image_url",
    "imageurl",
    "download_url",
    "display_url",
    "original_url",
    "fileUrl",
    "source_url",
)
_LARGEST_JSON = 1 << 24  # bytes
_KINDS = ("jpg", "png", "webp")  # what img2dataset encodes images as; of skip_reencode the name of one of these, too
_ROWS = 16  # of a table with images, that are held
_DIGESTS = ("sha256", "sha512", "md5")  # of what img2dataset had fetched (compute_hash)


class FoundFile(NamedTuple):
    """A *file* that has the bytes of the address *url*; None: they were had once, and a person wants them no more.
    *digest*: the name of a hash, and the hash, of what the server sent, where it is known. *name*: what the file is
    called, where that is not its own name in its folder."""

    file: Path | None
    url: str
    digest: tuple[str, str] | None = None
    name: str = ""


def files_of_list(paths: Sequence[Path], scratch: Path) -> Iterator[FoundFile | str]:
    """The rows of a list (CSV, TSV, JSON Lines, Parquet) with the columns `path` and `url`. Paths are relative to the
    list's folder. What cannot be read is a text."""
    path = _only(paths)
    reader = open_rows(path, columns=["path", "url"])
    for row in reader:
        if isinstance(row, BadRow):
            yield f"{path}, line {row.line}: {row.reason}"
        else:
            yield FoundFile(path.parent / row.values[0], row.values[1])


def files_of_gallery_dl(paths: Sequence[Path], scratch: Path) -> Iterator[FoundFile | str]:
    """The files in the folders of *paths* beside which gallery-dl has written what it knows (`--write-metadata`), with
    the addresses that this names; then what its archives (SQLite), the files of *paths*, say that it has had and that
    is in none of these folders. Raises `InputError`."""
    archives = [Archive(path) for path in paths if path.is_file()]
    try:
        for folder in (path for path in paths if not path.is_file()):
            for sidecar in sorted(_folder(folder).rglob("*.json")):
                if found := _of_sidecar(sidecar, archives):
                    yield found
        for archive in archives:
            for url in archive.addresses():
                yield FoundFile(None, url)
            if archive.others:
                yield (
                    f"{archive.path}: {archive.others:,} of {archive.count:,} entries name no address but what a site"
                    " calls its images, as pixiv123 does; where their files have a .json beside them, import its folder"
                )
    finally:
        for archive in archives:
            archive.close()


def _of_sidecar(sidecar: Path, archives: Sequence[Archive]) -> FoundFile | str | None:
    """What *sidecar* says; None where an archive says it itself."""
    known = _json(sidecar)
    if known is None:
        return f"{sidecar} is no JSON object"
    url = next((known[name] for name in _ADDRESSES if _is_address(known.get(name))), "")
    if file := _beside(sidecar):
        return (
            FoundFile(file, url)
            if url
            else f"{sidecar} names no address of its file ({', '.join(_ADDRESSES[:3])}, …); gallery-dl writes one with"
            ' the option "url-metadata": "url"'
        )
    if any(archive.has(known) for archive in archives):
        return FoundFile(None, url) if url else None
    return f"{sidecar}: there is no file beside it"


def files_of_img2dataset(paths: Sequence[Path], scratch: Path) -> Iterator[FoundFile | str]:
    """The files of an output folder of img2dataset: of output_format webdataset, tfrecord or parquet those in its .tar,
    .tfrecord or .parquet files, which are taken out of these into *scratch*; of output_format files by its .json files,
    or, where these are missing, by the .parquet of a shard."""
    path = _only(paths)
    for shard in sorted(_folder(path).glob("*.tar")):
        yield from _files_in(shard, scratch)
    for shard in sorted(path.glob("*.tfrecord")):
        yield from _taken_out(shard, _records(shard), scratch)
    seen = set()
    for sidecar in sorted(path.rglob("*.json")):
        if sidecar.name.endswith("_stats.json"):
            continue
        known = _json(sidecar)
        file = _beside(sidecar)
        if known is None or not _is_address(known.get("url")):
            yield f"{sidecar} is none of img2dataset's files: it names no url"
        elif file is None:
            yield f"{sidecar}: there is no file beside it"
        else:
            seen.add(file)
            yield FoundFile(file, known["url"], _digest(known))
    for found in _files_of_tables(path, scratch):
        if not isinstance(found, FoundFile) or found.file not in seen:
            yield found


def _files_of_tables(path: Path, scratch: Path) -> Iterator[FoundFile | str]:
    """What the .parquet of each shard in the folder *path* says was fetched, and is not in a .tar."""
    for shard in sorted(path.glob("*.parquet")):
        if shard.with_suffix(".tar").exists():  # which has said all that there is
            continue
        if shard.with_suffix(".tfrecord").exists():  # the same
            continue
        if column := _column_of_bytes(shard):
            yield from _taken_out(shard, _table(shard, column), scratch)
            continue
        for _, _, row in open_records(shard, format=None, encoding="utf-8", delimiter=None).read():
            if isinstance(row, BadRow):
                yield f"{shard}, row {row.line}: {row.reason}"
            elif row.get("status") == "success" and _is_address(row.get("url")):
                file = _beside(shard.with_suffix("") / f"{row.get('key')}.json")
                if file is None:
                    yield f"{shard}: there is no file {row.get('key')} in {shard.with_suffix('').name}"
                else:
                    yield FoundFile(file, row["url"], _digest(row))


def _column_of_bytes(shard: Path) -> str:
    """The column of *shard* that has the files themselves (`output_format=parquet`); "" if there is none."""
    with suppress(ImportError, OSError, ValueError):  # told by whoever reads its rows; pyarrow's errors are of these
        kinds = import_module("pyarrow.parquet").read_schema(shard)
        return next((kind for kind in _KINDS if kind in kinds.names and str(kinds.field(kind).type) == "binary"), "")
    return ""


def _table(shard: Path, column: str) -> Iterator[dict[str, Any]]:
    """The rows of a *shard*, of which *column* has the files."""
    with import_module("pyarrow.parquet").ParquetFile(shard) as table:
        columns = [name for name in ("key", "url", column, *_DIGESTS) if name in table.schema_arrow.names]
        for batch in table.iter_batches(_ROWS, columns=columns):
            yield from batch.to_pylist()


def _records(shard: Path) -> Iterator[dict[str, Any]]:
    """The same of a .tfrecord, in which everything is bytes."""
    for example in examples(shard):
        yield {name: value if name in _KINDS else value.decode("utf-8", "replace") for name, value in example.items()}


def _taken_out(shard: Path, rows: Iterable[dict[str, Any]], scratch: Path) -> Iterator[FoundFile | str]:
    """The files that *rows* of a *shard* have, each in *scratch*."""
    try:
        for number, row in enumerate(rows):
            kind = next((kind for kind in _KINDS if row.get(kind) is not None), "")
            if not kind:  # what could not be fetched
                continue
            if not _is_address(row.get("url")):
                yield f"{shard}: row {number + 1} names no url"
                continue
            file = scratch / f"{shard.name}-{number}"
            file.write_bytes(row[kind])
            yield FoundFile(file, row["url"], _digest(row), f"{shard.stem}/{row.get('key') or number}.{kind}")
    except (OSError, ValueError) as error:
        yield f"{shard} cannot be read: {error}"


def _files_in(shard: Path, scratch: Path) -> Iterator[FoundFile | str]:
    """What is in a *shard* of img2dataset: for each key a file, its .json, and its .txt."""
    files: dict[str, tuple[Path, str]] = {}
    facts: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(shard) as archive:
            for number, member in enumerate(archive):
                key, _, kind = PurePosixPath(member.name).name.partition(".")
                body = archive.extractfile(member) if member.isfile() else None
                if body is None or kind == "txt":
                    continue
                if kind == "json":
                    facts[key] = _object(body.read(_LARGEST_JSON)) or {}
                else:
                    file = scratch / f"{shard.stem}-{number}"
                    with file.open("xb") as made:
                        shutil.copyfileobj(body, made)
                    files[key] = file, f"{shard.stem}/{key}.{kind}"
                if key in files and key in facts:
                    (file, name), known = files.pop(key), facts.pop(key)
                    if _is_address(known.get("url")):
                        yield FoundFile(file, known["url"], _digest(known), name)
                    else:
                        yield f"{shard}: {key}.json names no url"
    except (tarfile.TarError, OSError, EOFError) as error:
        yield f"{shard} cannot be read: {error}"
    for key in sorted(files):
        yield f"{shard}: {files[key][1]} has no .json with its url"


KINDS: Mapping[str, Callable[[Sequence[Path], Path], Iterator[FoundFile | str]]] = {
    "files": files_of_list,
    "gallery-dl": files_of_gallery_dl,
    "img2dataset": files_of_img2dataset,
}


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected what the tool has written its files into")
    return path


def _only(paths: Sequence[Path]) -> Path:
    if len(paths) != 1:
        raise InputError(f"{', '.join(map(str, paths))}: expected one path")
    return paths[0]


def _beside(sidecar: Path) -> Path | None:
    """The file that *sidecar* is about: with its name but for `.json`, or with another extension in its place."""
    stem = sidecar.with_suffix("")
    if stem.suffix and stem.is_file():
        return stem
    others = (each for each in sorted(stem.parent.glob(f"{_escaped(stem.name)}.*")) if each.is_file())
    return next((each for each in others if each.suffix.lower() not in {".json", ".txt", ".part"}), None)


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return _object(read_file(path, _LARGEST_JSON))
    except OSError:
        return None


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _digest(known: Mapping[str, Any]) -> tuple[str, str] | None:
    return next(((name, str(known[name])) for name in _DIGESTS if known.get(name)), None)
