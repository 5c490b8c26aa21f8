"""The files that records go to: one at a time, begun anew beyond a size."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from imgcrawl import __version__

Fields = list[tuple[str, str]]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class _AsSent(StatusAndHeaders):  # type: ignore[misc]  # warcio has no types
    """Texts of latin-1, each character a byte of the wire; warcio would escape what is not ASCII."""

    def compute_headers_buffer(self, header_filter: Any = None) -> None:
        self.headers_buff = self.to_bytes(header_filter, "latin-1")


class WarcFiles:
    """Files in *folder*, each of *max_bytes* and a record at most, named by *spider*, time, machine and a token, so
    that no two workers write one. Each record is a gzip member of its own, and with the system before its answer is
    worked on: what a kill leaves can be read up to the record that was being written. For one thread. Its methods
    raise OSError.

    They hold what was sent, cookies and passwords, too: only their owner may read them.
    """

    def __init__(self, folder: Path, spider: str, max_bytes: int) -> None:
        self._folder = folder
        self._name = f"{spider}-{datetime.now(UTC):%Y%m%d%H%M%S}-{socket.gethostname()}-{secrets.token_hex(4)}"
        self._max_bytes = max_bytes
        self._number = 0
        self._file: IO[bytes] | None = None

    def add(
        self,
        url: str,
        request: tuple[str, Fields, bytes],
        answer: tuple[str, Fields, IO[bytes], int],
        about: Mapping[str, str],
    ) -> None:
        """Add a request (its line, fields and body) and its answer (status line, fields, body and the bytes of that),
        bytes of fields as latin-1.
        *about*: fields of the answer's record."""
        file = self._opened()
        writer = WARCWriter(file, gzip=True, warc_version="1.1")
        line, fields, body = request
        asked = writer.create_warc_record(
            url,
            "request",
            payload=BytesIO(body),
            length=len(body),
            http_headers=_AsSent(line, fields, is_http_request=True),
        )
        status, fields, stream, size = answer
        protocol, _, status = status.partition(" ")
        answered = writer.create_warc_record(
            url,
            "response",
            payload=stream,
            length=size,
            http_headers=_AsSent(status, fields, protocol=protocol),
            warc_headers_dict=dict(about),
        )
        writer.write_request_response_pair(asked, answered)
        file.flush()

    def _opened(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() >= self._max_bytes:
            self.close()
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{self._name}-{self._number:05}.warc.gz"
            self._number += 1
            self._file = os.fdopen(os.open(path, _NEW, 0o600), "wb", buffering=1 << 20)
            writer = WARCWriter(self._file, gzip=True, warc_version="1.1")
            info = {"software": f"imgcrawl/{__version__}", "format": "WARC File Format 1.1"}
            writer.write_record(writer.create_warcinfo_record(path.name, info))
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
