"""Videos made by code: containers that are whole, around bytes that no player would take for a film."""

from __future__ import annotations

from random import Random

# Each format with its usual ending.
CONTAINERS = {"MP4": "mp4", "WebM": "webm"}


def video(seed: str, format: str, size: int) -> bytes:
    """A file of *format* (a key of `CONTAINERS`) with *size* bytes of content; the same seed gives the same bytes."""
    content = Random(f"video/{seed}").randbytes(size)
    return _webm(content) if format == "WebM" else _mp4(content)


def _mp4(content: bytes) -> bytes:
    """ISO/IEC 14496-12: ftyp, a moov with nothing but a header, and the content, which is the last and the longest."""
    header = _box(b"mvhd", b"\0" * 12 + (1000).to_bytes(4, "big") + (4000).to_bytes(4, "big") + b"\0" * 80)
    return _box(b"ftyp", b"isom\0\0\2\0isomiso2mp41") + _box(b"moov", header) + _box(b"mdat", content)


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def _webm(content: bytes) -> bytes:
    """RFC 8794 and RFC 9559: an EBML header with the DocType, and a segment that holds one Void element."""
    header = _element(b"\x1a\x45\xdf\xa3", _element(b"\x42\x82", b"webm") + _element(b"\x42\x87", b"\x04"))
    return header + _element(b"\x18\x53\x80\x67", _element(b"\xec", content))


def _element(identity: bytes, content: bytes) -> bytes:
    return identity + (len(content) | 1 << 56).to_bytes(8, "big") + content
