"""What became of an address, as the item tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from imgcrawl.catalogue import Record
from imgcrawl.items import REASONS, Image


def stored(status: str, record: Record) -> Image:
    """The outcome of an address whose bytes are in the store."""
    image = {
        "status": status,
        "path": record.path,
        "checksum": record.checksum,
        "bytes": record.bytes,
        "format": record.format,
        "width": record.width,
        "height": record.height,
        "frames": record.frames,
        "final_url": record.final_url,
        "etag": record.etag,
        "last_modified": record.last_modified,
        "fetched_at": record.fetched_at,
        "warnings": record.warnings.split(),
    }
    return cast("Image", {name: value for name, value in image.items() if value not in ("", 0, [])})


def known(record: Record, requested_path: str) -> Image:
    """The outcome of an address that needs no download: `duplicate` where another name was asked for first."""
    return stored("uptodate" if record.wanted == requested_path else "duplicate", record)


def same_bytes(record: Record, path: str, before: Record | None) -> tuple[Record, str]:
    """What to note of bytes that are in the store as *path*, and their status; *before*: what the address had."""
    record = replace(record, path=path)
    if before is None or before.path != path:
        return record, "duplicate"
    # Another worker may have stored this address under another gallery's name in the meantime: the first name stays.
    return replace(record, wanted=before.wanted), "uptodate" if before.wanted == record.wanted else "duplicate"


def not_stored(reason: str) -> Image:
    """The outcome of an address that nothing was stored of, for *reason* (`imgcrawl.items.REASONS`)."""
    status = "refused" if reason in REASONS["refused"] else "failed"
    return {"status": status, "reason": reason}
