"""WebDataset: tar files in which the parts of a sample have one key, as img2dataset writes them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from functools import partial
from typing import IO, Any

from imgcrawl.exports.options import ExportOptions, groups
from imgcrawl.exports.pictures import Bodies, Picture, Pictures, digest_of
from imgcrawl.exports.target import Part, left_empty


def parts(pictures: Pictures, bodies: Bodies, options: ExportOptions) -> Iterator[Part]:
    """`00000.tar`, `00001.tar` …; in each, for each image, `000000000.jpg`, `.txt` (its caption) and `.json` (its
    facts, under img2dataset's names and ours)."""
    for number, group in enumerate(groups(pictures, options.per_file)):
        samples = [(f"{number:05}{place:04}", picture) for place, picture in enumerate(group)]
        digest = digest_of([[key, picture.extension, facts(key, picture)] for key, picture in samples])
        yield Part(f"{number:05}.tar", digest, partial(_write, samples, bodies))


def facts(key: str, picture: Picture) -> dict[str, Any]:
    """What stands in a sample's `.json`."""
    row = picture.row
    named = {
        "key": key,
        "url": row.get("url"),
        "caption": picture.caption,
        "status": "success",
        "error_message": None,
        "width": row.get("width"),
        "height": row.get("height"),
        "original_width": row.get("width"),
        "original_height": row.get("height"),
        "sha256": row.get("checksum"),
    }
    return named | {name: value for name, value in row.items() if name not in named and name != "checksum"}


def _write(samples: list[tuple[str, Picture]], bodies: Bodies, file: IO[bytes]) -> bool:
    complete, before = True, bodies.count
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, picture in samples:
            body = bodies.of(picture)
            if body is None:
                complete = False
                continue
            _add(tar, f"{key}{picture.extension}", body)
            _add(tar, f"{key}.txt", picture.caption.encode("utf-8", "replace"))
            _add(tar, f"{key}.json", _json(facts(key, picture)))
    return complete if bodies.count > before else left_empty(file)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time and no owner: the same images make the same file
    member.size = len(body)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(body))
