"""A list file as lines of UTF-8: which packing and encoding it has, and what is in it, in constant memory."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcrawl.exceptions import InputError

FORMATS = {
    "text": (".txt", ".list", ".lst", ".urls"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".jl", ".ndjson", ".json"),
    "json": (),  # one array; what is called .json may also be JSON Lines
    "parquet": (".parquet", ".pq"),
}
MAX_LINE = 1 << 20  # bytes of UTF-8: a longer line is bad, and is never held whole
MAX_DIRECTORY = 1 << 20  # bytes of the directory of a zip, of about twenty thousand files
_CHUNK = 1 << 16
_ZIP_END = 22 + 65535  # bytes of the last record of a zip, with its comment
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_PACKINGS = {"gzip": (b"\x1f\x8b",), "zip": (b"PK\x03\x04", b"PK\x05\x06")}
_OTHER_PACKINGS = {
    "bzip2": rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\x00",
    "Zstandard": rb"\x28\xb5\x2f\xfd",
    "7-Zip": rb"7z\xbc\xaf\x27\x1c",
    "RAR": rb"Rar!\x1a\x07",
    "gzip in another archive": rb"\x1f\x8b\x08",
    "zip in another archive": rb"PK\x03\x04",
}
READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile)

_UNDECODABLE = "imgcrawl.undecodable"  # the name of an error handler of codecs


@dataclass(frozen=True)
class Source:
    """A list file whose packing, encoding and line end are known."""

    path: Path
    packing: str | None
    member: str
    encoding: str
    newline: bytes

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            if self.packing == "gzip":
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            elif self.packing == "zip":
                with zipfile.ZipFile(file) as archive, archive.open(self.member) as stream:
                    yield stream
            else:
                yield file

    def chunks(self) -> Iterator[bytes]:
        """The decompressed bytes. `read1` gives what there is before it raises what is wrong with the rest."""
        with self._opened() as stream:
            while chunk := stream.read1(_CHUNK):
                yield chunk

    def text_chunks(self) -> Iterator[bytes]:
        """The decompressed text in UTF-8, without a byte order mark."""
        if self.encoding != "utf-8":
            yield from _transcoded(self.chunks(), self.encoding)
            return
        chunks = self.chunks()
        yield next(chunks, b"").removeprefix(codecs.BOM_UTF8)
        yield from chunks

    def lines(self, failure: list[tuple[Exception, bytes]]) -> Iterator[bytes]:
        """UTF-8 lines; what stops the reading ends up in *failure*, together with the line it cut."""
        chunks = self.chunks()
        if self.encoding != "utf-8":
            chunks = _transcoded(chunks, self.encoding)
        tail = b""
        try:
            for chunk in chunks:
                rest = chunk
                if len(tail) > MAX_LINE:
                    _, end, rest = chunk.partition(self.newline)
                    if not end:
                        continue
                    yield tail
                    tail = b""
                lines = (tail + rest).split(self.newline)
                tail = lines.pop()
                yield from lines
        except READ_ERRORS as error:
            failure.append((error, tail))
            return
        if tail:
            yield tail


def open_source(path: str | os.PathLike[str], encoding: str) -> tuple[Source, Path, str]:
    """The list at *path*, the name that says its format, and its first characters.

    Raises `InputError` for what is no regular file, cannot be read, is in a packing that is not known, or holds
    no text in *encoding*.
    """
    # What cannot be decoded becomes a lone surrogate, which no UTF-8 holds: so the row it stands in is bad, and
    # only that row.
    codecs.register_error(_UNDECODABLE, lambda error: ("\udc80", getattr(error, "end", 0)))
    try:
        file = Path(path).expanduser()
        packing = _packing(file)
        member = _member(file) if packing == "zip" else ""
        head = _head(Source(file, packing, member, "utf-8", b"\n"))
    except (*READ_ERRORS, ValueError, RuntimeError) as error:
        # RuntimeError: what zipfile says of passwords and unknown compression; ValueError: a NUL in the path.
        told = getattr(error, "strerror", None) or error or type(error).__name__
        raise InputError(f"list {str(path)!r} cannot be read: {told}; expected a file of rows") from error
    name = Path(member or (file.stem if packing == "gzip" and file.suffix.lower() == ".gz" else file.name))
    encoding, decoded = _decoded_head(file, head, encoding)
    if not decoded.strip("\0") or decoded.rstrip("\0").count("\0") * 10 > len(decoded):
        raise InputError(
            f"list {str(file)!r} holds zero bytes, as binary files and UTF-16 without a byte order mark do; "
            "expected text, or the name of its encoding"
        )
    newline = b"\r" if "\r" in decoded and "\n" not in decoded else b"\n"
    return Source(file, packing, member, encoding, newline), name, decoded


def _packing(file: Path) -> str | None:
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(f"list {str(file)!r} is {kind}; expected a file of rows")
    with file.open("rb") as stream:
        magic = stream.read(4)
    if not magic:
        raise InputError(f"list {str(file)!r} is empty; expected a file of rows")
    for packing, magics in _PACKINGS.items():
        if magic.startswith(magics):
            return packing
    if file.suffix.lower() in (".gz", ".zip"):
        raise InputError(
            f"list {str(file)!r} is neither gzip nor zip, whatever its name says; expected what the name says"
        )
    return None


def _refuse_large_directory(file: Path) -> None:
    """All of a zip's directory is held in memory: by what the end of the file says (APPNOTE.TXT, 4.3.14, 4.3.16)."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _ZIP_END))
        end = stream.read(_ZIP_END)
    at = len(end) - 22 if end[-22:-18] == b"PK\5\6" and end.endswith(b"\0\0") else end.rfind(b"PK\5\6")
    size = int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0
    if end[max(0, at - 20) : at].startswith(b"PK\6\7"):  # there is a record of larger numbers
        size = int.from_bytes(end[(large := end.rfind(b"PK\6\6")) + 40 : large + 48], "little")
    if size > MAX_DIRECTORY:
        raise InputError(f"list {str(file)!r} is a zip of very many files; expected exactly one list")


def _member(file: Path) -> str:
    _refuse_large_directory(file)
    with zipfile.ZipFile(file) as archive:
        # macOS puts a shadow of every file into this folder.
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    suffixes = {suffix for suffixes in FORMATS.values() for suffix in suffixes}
    lists = [m for m in members if Path(m.filename).suffix.lower() in suffixes]
    chosen = members if len(members) == 1 else lists
    if len(chosen) != 1:
        names = ", ".join(repr(m.filename) for m in (lists or members)[:5]) or "nothing"
        raise InputError(f"list {str(file)!r} is a zip that holds {names}; expected exactly one list")
    if chosen[0].compress_type == zipfile.ZIP_LZMA:
        raise InputError(f"list {str(file)!r} is a zip with LZMA; expected deflate, bzip2 or none")
    return chosen[0].filename


def _head(source: Source) -> bytes:
    """The first bytes after decompression: as many as there are before the file ends or breaks."""
    head = b""
    try:
        for chunk in source.chunks():
            head += chunk
            if len(head) >= _CHUNK:
                break
    except READ_ERRORS:
        if not head:
            raise
    if not head:
        raise InputError(f"list {str(source.path)!r} holds no bytes; expected a file of rows")
    for packing, magic in _OTHER_PACKINGS.items():
        if re.match(magic, head):
            raise InputError(f"list {str(source.path)!r} is {packing}; expected plain text, gzip or zip")
    return head


def _decoded_head(file: Path, head: bytes, encoding: str) -> tuple[str, str]:
    """The encoding that holds, and *head* in it."""
    encoding = next((marked for bom, marked in _BOMS.items() if head.startswith(bom)), encoding)
    try:
        b"a".decode(encoding, "replace")  # LookupError for codecs that make no text of bytes
        codec = codecs.lookup(encoding)
        decoded = codec.incrementaldecoder(_UNDECODABLE).decode(head)
    except (LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"encoding {encoding!r} of list {str(file)!r}: {error}; expected one that it can be read in, "
            "like utf-8, utf-16-le or gb18030"
        ) from error
    return codec.name, decoded.removeprefix("\ufeff")


def _transcoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(_UNDECODABLE)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
