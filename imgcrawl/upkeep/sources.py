"""What other tools, and people, have left: files of images, and the addresses that they are from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from imgcrawl.exceptions import InputError
from imgcrawl.rows.reader import open_records, open_rows
from imgcrawl.rows.records import BadRow

# Fields in which what gallery-dl writes has the address of a file, the surest first: extractors differ, and
# `url-metadata` adds one.
_ADDRESSES = ("url", "file_url", "image_url", "download_url", "display_url", "original_url", "fileUrl", "source_url")
_DIGESTS = ("sha256", "sha512", "md5")  # of what img2dataset had fetched (compute_hash)
_SQLITE = b"SQLite format 3\0"


class FoundFile(NamedTuple):
    """A *file* that has the bytes of the address *url*. *digest*: the name of a hash, and the hash, of what the server
    sent, where it is known."""

    file: Path
    url: str
    digest: tuple[str, str] | None = None


def files_of_list(path: Path) -> Iterator[FoundFile | str]:
    """The rows of a list (CSV, TSV, JSON Lines, Parquet) with the columns `path` and `url`. Paths are relative to the
    list's folder. What cannot be read is a text."""
    reader = open_rows(path, columns=["path", "url"])
    for row in reader:
        if isinstance(row, BadRow):
            yield f"{path}, line {row.line}: {row.reason}"
        else:
            yield FoundFile(path.parent / row.values[0], row.values[1])


def files_of_gallery_dl(path: Path) -> Iterator[FoundFile | str]:
    """The files in the folder *path* beside which gallery-dl has written what it knows (`--write-metadata`), with the
    addresses that this names. Raises `InputError` for its archive, which names none."""
    if path.is_file():
        raise InputError(_about_archive(path))
    for sidecar in sorted(_folder(path).rglob("*.json")):
        known = _json(sidecar)
        if known is None:
            yield f"{sidecar} is no JSON object"
        elif (file := _beside(sidecar)) is None:
            yield f"{sidecar}: there is no file beside it"
        elif url := next((known[name] for name in _ADDRESSES if _is_address(known.get(name))), ""):
            yield FoundFile(file, url)
        else:
            yield (
                f"{sidecar} names no address of its file ({', '.join(_ADDRESSES[:3])}, …); gallery-dl writes one with"
                ' the option "url-metadata": "url"'
            )


def files_of_img2dataset(path: Path) -> Iterator[FoundFile | str]:
    """The files of an output folder of img2dataset (output_format files), by its .json files, or, where these are
    missing, by the .parquet of a shard."""
    seen = set()
    for sidecar in sorted(_folder(path).rglob("*.json")):
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
    for shard in sorted(path.glob("*.parquet")):
        for _, _, row in open_records(shard, format=None, encoding="utf-8", delimiter=None).read():
            if isinstance(row, BadRow):
                yield f"{shard}, row {row.line}: {row.reason}"
            elif row.get("status") == "success" and _is_address(row.get("url")):
                file = _beside(shard.with_suffix("") / f"{row.get('key')}.json")
                if file is None:
                    yield f"{shard}: there is no file {row.get('key')} in {shard.with_suffix('').name}"
                elif file not in seen:
                    yield FoundFile(file, row["url"], _digest(row))


KINDS: Mapping[str, Callable[[Path], Iterator[FoundFile | str]]] = {
    "files": files_of_list,
    "gallery-dl": files_of_gallery_dl,
    "img2dataset": files_of_img2dataset,
}


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is no folder; expected what the tool has written its files into")
    return path


def _about_archive(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return f"{path}: expected the folder of gallery-dl's files, with a .json beside each (--write-metadata)"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as archive:
            (count,) = archive.execute("SELECT count(*) FROM archive").fetchone()
    except sqlite3.Error as error:
        return f"{path}: {error}; expected gallery-dl's folder of files, with a .json beside each (--write-metadata)"
    return (
        f"{path} is an archive of gallery-dl with {count:,} entries, which are its own names for files and say neither"
        " where these are nor from which address; expected the folder of the files, with a .json beside each"
        " (--write-metadata)"
    )


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
        known = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _digest(known: Mapping[str, Any]) -> tuple[str, str] | None:
    return next(((name, str(known[name])) for name in _DIGESTS if known.get(name)), None)
