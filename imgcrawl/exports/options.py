"""What may be said about an export, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from imgcrawl.exports.pictures import Picture

PART_BYTES = 1 << 30  # of images in one part: what data sets are read in


@dataclass(frozen=True)
class ExportOptions:
    """*per_file*: images in one part of a data set. *name*: the template of names, "" for those of the store. *bodies*:
    whether Parquet has the bytes. *sidecars*: the kinds of `sidecars.KINDS` that stand beside images."""

    per_file: int = 10_000
    name: str = ""
    with_bytes: bool = True
    sidecars: Sequence[str] = ()


def groups(pictures: Iterable[Picture], most: int) -> Iterator[list[Picture]]:
    """*pictures* in order, up to *most* and about `PART_BYTES` in each group, whatever is in the store."""
    group: list[Picture] = []
    size = 0
    for picture in pictures:
        here = int(picture.row.get("bytes") or 0)
        if group and (len(group) >= most or size + here > PART_BYTES):
            yield group
            group, size = [], 0
        group.append(picture)
        size += here
    if group:
        yield group
