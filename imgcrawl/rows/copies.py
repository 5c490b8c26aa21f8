"""Lists that are no files here: at an address, or on standard input; copied, so that they can be read from any row."""

from __future__ import annotations

import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from hashlib import blake2b, file_digest
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from imgcrawl.exceptions import InputError, describe
from imgcrawl.urls import is_public

MAX_LIST = 4 << 30  # bytes of a list that is copied
PATIENCE = 30.0  # seconds without a byte, after which the host is given up …
MAX_SECONDS = 3600.0  # … and for all of it
_CHUNK = 1 << 18


class _Connections(urllib.request.HTTPSHandler):
    """Makes connections, to no private address once there was one to a public address: whoever serves a list may not
    have another one read in its place, from where only the user can read."""

    def __init__(self) -> None:
        super().__init__()
        self._tls = ssl.create_default_context()
        self._was_public = False

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, request)

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._secure_connection, request)

    def _connection(self, host: str, **options: Any) -> HTTPConnection:
        return self._judged(HTTPConnection(host, **options))

    def _secure_connection(self, host: str, **options: Any) -> HTTPConnection:
        return self._judged(HTTPSConnection(host, context=self._tls, **options))

    def _judged(self, connection: HTTPConnection) -> HTTPConnection:
        connect = connection.connect

        def judged() -> None:
            connect()
            if is_public(connection.sock.getpeername()[0]):
                self._was_public = True
            elif self._was_public:
                connection.close()
                raise OSError(f"it leads to {connection.host}, which is private; to have that read, name it")

        connection.connect = judged  # type: ignore[method-assign] # as `http.client` calls it, whatever its class
        return connection


class LocalList:
    """The list *file*, a path, an http(s) address or "-" (standard input), as a file at *path*.

    *name* is what places in the list are told by. A copy is gone with `close`. Raises `InputError` where the list
    cannot be had, is longer than `MAX_LIST` or takes longer than `MAX_SECONDS`. Blocks.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._folder: TemporaryDirectory[str] | None = None
        if file == "-":
            self.path = self._copied("stdin", lambda: sys.stdin.buffer)
        elif file.lower().startswith(("http://", "https://")):
            name = Path(unquote(urlsplit(file).path)).name
            self.path = self._copied(name[-100:].replace("\0", "") or "list", self._opened)
        else:
            self.path = Path(file)
        self.name = self.path.name.encode("utf-8", "replace").decode()

    def close(self) -> None:
        if self._folder:
            self._folder.cleanup()

    def digest(self) -> bytes:
        """By what it holds; b"" if it is gone. Blocks."""
        try:
            with self.path.expanduser().open("rb") as file:
                return file_digest(file, blake2b).digest()
        except OSError:
            return b""

    def told(self, sentence: str) -> str:
        """*sentence*, with what the user wrote in place of the copy's path."""
        return sentence.replace(repr(str(self.path)), repr(self.file))

    def _opened(self) -> BinaryIO:
        opener = urllib.request.OpenerDirector()
        for handler in (
            *(urllib.request.ProxyHandler(), _Connections()),
            *(urllib.request.HTTPRedirectHandler(), urllib.request.HTTPErrorProcessor()),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", "imgcrawl")]
        response: BinaryIO | None = opener.open(self.file, timeout=PATIENCE)
        if response is None:  # a redirect to something that is not HTTP
            raise InputError(f"list {self.file!r} cannot be read: it leads to an address that is not http(s)")
        return response

    def _copied(self, name: str, source: Callable[[], BinaryIO]) -> Path:
        self._folder = TemporaryDirectory(prefix="imgcrawl-list-")
        path = Path(self._folder.name, name)
        try:
            with path.open("wb") as copy:
                self._copy(source(), copy)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise InputError(
                f"list {self.file!r} cannot be read: {describe(error)}; expected a file of rows"
            ) from error
        except BaseException:
            self.close()
            raise
        return path

    def _copy(self, source: BinaryIO, copy: BinaryIO) -> None:
        begin, room = time.monotonic(), MAX_LIST
        while chunk := source.read(_CHUNK):
            room -= len(chunk)
            if room < 0:
                raise InputError(f"list {self.file!r} has more than {MAX_LIST} bytes; expected fewer")
            if time.monotonic() - begin > MAX_SECONDS and self.file != "-":
                raise InputError(f"list {self.file!r} was not had within {MAX_SECONDS:.0f} s")
            copy.write(chunk)
