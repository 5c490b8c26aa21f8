"""FTP: Scrapy's store, with an end to all waiting, and files that are seen under their names once they are whole."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ftplib import FTP, Error, error_perm
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from scrapy.pipelines.files import FTPFilesStore, StatInfo
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import Deferred

from imgcrawl.pipelines.loststores import TIMEOUT, LostStoreError


class FTPStore(FTPFilesStore):
    """As Scrapy's, but a server that gives no answer for *timeout* seconds is an error, a file gets its name when all
    of it is there, and to ask whether it is there does not fetch it."""

    timeout = TIMEOUT

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        address = urlsplit(uri)  # in which an @ of a password is %40, as in that of a feed
        self.username = unquote(address.username or "") or self.username
        self.password = unquote(address.password or "") or self.password

    def persist_file(
        self,
        path: str,
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Deferred[Any]:
        return deferred_from_coro(run_in_thread(self._send, f"{self.basedir}/{path}", buf))

    def _send(self, path: str, file: BytesIO) -> None:
        folder, name = posixpath.split(path)
        part = f".{secrets.token_hex(8)}.part"
        with self._connected() as ftp:
            _enter(ftp, folder)
            file.seek(0)
            try:
                ftp.storbinary(f"STOR {part}", file)
                _rename(ftp, part, name)
            except BaseException:
                with suppress(Error, OSError, EOFError):
                    ftp.delete(part)
                raise

    def _stat_file(self, path: str) -> StatInfo:
        try:
            with self._connected() as ftp:
                try:
                    said = ftp.voidcmd(f"MDTM {self.basedir}/{path}")
                except error_perm:  # there is no such file
                    return {}
                return {"last_modified": float(said[4:].strip()), "checksum": ""}
        except (Error, OSError, EOFError) as error:
            raise LostStoreError(error) from error

    @contextmanager
    def _connected(self) -> Iterator[FTP]:
        with FTP(timeout=self.timeout) as ftp:  # noqa: S321 -- that is what the user's store speaks
            ftp.connect(self.host, self.port)
            ftp.login(self.username, self.password)
            ftp.set_pasv(not self.USE_ACTIVE_MODE)
            yield ftp


def _enter(ftp: FTP, folder: str) -> None:
    """Make *folder*, with those above it, the current one; others may make it in the same moment."""
    try:
        ftp.cwd(folder or "/")
    except error_perm:
        if folder in ("", "/"):
            raise
        _enter(ftp, posixpath.dirname(folder))
        with suppress(error_perm):
            ftp.mkd(posixpath.basename(folder))
        ftp.cwd(posixpath.basename(folder))


def _rename(ftp: FTP, part: str, name: str) -> None:
    try:
        ftp.rename(part, name)
    except error_perm:  # some servers replace no file
        aside = f"{part}.old"
        ftp.rename(name, aside)
        try:
            ftp.rename(part, name)
        except BaseException:
            ftp.rename(aside, name)
            raise
        ftp.delete(aside)
