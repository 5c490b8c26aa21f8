"""Whether a file is a whole video: its container's signature and the lengths written in it. Nothing is decoded."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.room import CostlyError
from imgcrawl.images.verify import Facts
from imgcrawl.regularfiles import descriptor_of

_HEAD = 1024
# Box types a file of ISO/IEC 14496-12 or QuickTime may begin with; `ftyp` is the rule.
_FIRST_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_TS_PACKET, _TS_SYNC = 188, 0x47


def examine_video(path: Path, max_parts: int | None = None) -> Facts:
    """The facts of the video in the file *path*: its format and extension; sizes and frames are 0.

    Knows MP4 and QuickTime (ISO/IEC 14496-12), Matroska and WebM (RFC 8794), Ogg (RFC 3533), FLV, AVI, MPEG
    transport and program streams. Raises `ImageError`: `empty`, `html`, `not_a_video`, or `truncated` where
    the file is shorter than it says; and `CostlyError` if it is made of more than *max_parts* parts, each of which
    takes some microseconds: for a process that can be ended (`images.process`).
    """
    with _Parts(path, max_parts) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_HEAD)
        if not head:
            raise ImageError("empty")
        for recognised, walk in _CONTAINERS:
            if recognised(head):
                file.seek(0)
                name, extension = walk(file, size)
                return Facts(format=name, width=0, height=0, frames=0, extension=extension)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    raise ImageError("html" if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")) else "not_a_video")


class _Parts(io.FileIO):
    """A file whose parts are counted when they are gone to; nothing is read ahead, for parts are far apart."""

    def __init__(self, path: Path, most: int | None) -> None:
        super().__init__(descriptor_of(path))
        self._left = most

    def each(self, size: int, start: int = 0) -> Iterator[int]:
        """Where each part begins, from *start* up to *size*; the caller sets `position` behind it."""
        self.position = start
        while self.position < size:
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    raise CostlyError
            yield self.seek(self.position)


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in _FIRST_BOXES


def _mp4(file: _Parts, size: int) -> tuple[str, str]:
    brand: bytes | None = None
    boxes = dict.fromkeys((b"ftyp", b"moov", b"moof"), False)  # is it there?
    for position in file.each(size):
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - position
        if len(header) < 8 or length < 8 or position + length > size:
            raise ImageError("truncated", f"box {header[4:8]!r} at {position} is not whole")
        if brand is None:
            brand = header[8:12]
        if header[4:8] in boxes:
            boxes[header[4:8]] = True
        file.position = position + length
    if not boxes[b"moov"] and not boxes[b"moof"]:
        raise ImageError("truncated", "no moov box")
    return ("QuickTime", ".mov") if brand == b"qt  " or not boxes[b"ftyp"] else ("MP4", ".mp4")


def _is_matroska(head: bytes) -> bool:
    return head.startswith(_EBML.to_bytes(4, "big"))


def _matroska(file: _Parts, size: int) -> tuple[str, str]:
    file.seek(4)
    length = _vint(file)
    header = file.read(min(length or 0, _HEAD))
    element = int.from_bytes(file.read(4), "big")
    if element != _SEGMENT:
        raise ImageError("truncated", "no segment")
    length = _vint(file)
    # A stream that was recorded live does not know its length.
    if length is not None and file.tell() + length > size:
        raise ImageError("truncated", f"{file.tell() + length} bytes announced, {size} there")
    return ("WebM", ".webm") if b"webm" in header else ("Matroska", ".mkv")


def _vint(file: _Parts) -> int | None:
    """A variable-size integer of RFC 8794, section 4; None for the value that means unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise ImageError("truncated", "an element without a length")
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - more)) - 1)]) + rest, "big")
    return None if value == (1 << (7 * (more + 1))) - 1 else value


def _flv(file: _Parts, size: int) -> tuple[str, str]:
    file.seek(5)
    start = int.from_bytes(file.read(4), "big") + 4
    for position in file.each(size, start):
        header = file.read(11)
        file.position = position + 11 + int.from_bytes(header[1:4], "big") + 4
        if len(header) < 11 or file.position > size:
            raise ImageError("truncated", "the last tag is not whole")
    return "FLV", ".flv"


def _avi(file: _Parts, size: int) -> tuple[str, str]:
    file.seek(4)
    if int.from_bytes(file.read(4), "little") + 8 > size:
        raise ImageError("truncated", "the RIFF chunk is not whole")
    return "AVI", ".avi"


def _ogg(file: _Parts, size: int) -> tuple[str, str]:
    for position in file.each(size):
        header = file.read(27)
        segments = file.read(header[26]) if len(header) == 27 else b""
        file.position = position + 27 + len(segments) + sum(segments)
        if not header.startswith(b"OggS") or file.position > size or len(segments) < header[26]:
            raise ImageError("truncated", "the last page is not whole")
    return "Ogg", ".ogv"


def _is_transport_stream(head: bytes) -> bool:
    return len(head) > 4 * _TS_PACKET and all(head[n * _TS_PACKET] == _TS_SYNC for n in range(5))


def _transport_stream(file: _Parts, size: int) -> tuple[str, str]:
    if size % _TS_PACKET:
        raise ImageError("truncated", "the last packet is not whole")
    return "MPEG-TS", ".ts"


def _program_stream(file: _Parts, size: int) -> tuple[str, str]:
    # It says no length, and its end code is customary but not required: nothing to compare.
    return "MPEG-PS", ".mpg"


_CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[_Parts, int], tuple[str, str]]], ...] = (
    (_is_mp4, _mp4),
    (_is_matroska, _matroska),
    (lambda head: head.startswith(b"FLV\x01"), _flv),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"AVI ", _avi),
    (lambda head: head.startswith(b"OggS"), _ogg),
    (lambda head: head.startswith(b"\x00\x00\x01\xba"), _program_stream),
    (_is_transport_stream, _transport_stream),
)
