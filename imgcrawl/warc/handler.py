"""The download handler that records what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.bodies import IN_MEMORY, BodyFile, body_file_of
from imgcrawl.downloadhandler import DownloadHandler
from imgcrawl.exceptions import describe, record_fatal_error
from imgcrawl.warc.files import WarcFiles


class RecordingHandler(DownloadHandler):
    """`DownloadHandler`, of which each whole answer is in a WARC file before anybody else has it.

    Settings: ``WARC_FOLDER``, and ``WARC_MAX_BYTES`` (1,000,000,000), beyond which a file is followed by another.
    Bodies are as they came, encodings included; what came in chunks is one chunk. A file that cannot be written ends
    the crawl in order.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        folder = Path(crawler.settings.get("WARC_FOLDER", ""))
        self._files = WarcFiles(folder, crawler.spidercls.name, crawler.settings.getint("WARC_MAX_BYTES", 10**9))
        self._thread = ThreadPoolExecutor(1, "warc")
        self._stopping: asyncio.Task[None] | None = None

    async def _read_response(self, response: Any, request: Request) -> Response:
        result = await super()._read_response(response, request)
        record = partial(self._record, response, request, result)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, record)
        except OSError as error:
            self._stop(error)
        return result

    def _record(self, response: Any, request: Request, result: Response) -> None:
        about = {"WARC-IP-Address": str(result.ip_address)} if result.ip_address else {}
        if response.truncate is not None and len(result.body) >= response.truncate:
            about["WARC-Truncated"] = "length"
        path = response.url.raw_path_qs or "/"
        sent = [(str(name), _wire(str(value))) for name, value in response.request_info.headers.items()]
        version = f"HTTP/{response.version.major}.{response.version.minor}"
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
        with ExitStack() as stack:
            body, size = stack.enter_context(_body_of(result, body_file_of(request)))
            if any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in fields):
                body, size = stack.enter_context(_in_one_chunk(body, size))
            self._files.add(
                request.url,
                (f"{request.method} {path} HTTP/1.1", sent, request.body),
                (f"{version} {response.status} {_wire(response.reason or '')}".rstrip(), fields, body, size),
                about,
            )

    def _stop(self, error: OSError) -> None:
        if self._stopping is None and self.crawler.engine:
            folder = self.crawler.settings["WARC_FOLDER"]
            record_fatal_error(self.crawler.stats, f"records cannot be written to {folder}: {describe(error)}")
            self._stopping = asyncio.create_task(self.crawler.engine.close_spider_async(reason="warc"))

    async def close(self) -> None:
        await super().close()
        self._thread.submit(self._files.close)
        self._thread.shutdown()


def _wire(text: str) -> str:
    """*text*, which aiohttp sends or was sent as UTF-8, as latin-1: a character for each byte."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


@contextmanager
def _body_of(result: Response, file: BodyFile | None) -> Iterator[tuple[IO[bytes], int]]:
    """The body that an answer brought, in memory or at the end of a file, and its bytes."""
    if file is None or not file.is_written:
        yield BytesIO(result.body), len(result.body)
        return
    with file.path.open("rb") as opened:
        opened.seek(file.size - file.brought)
        yield opened, file.brought


@contextmanager
def _in_one_chunk(body: IO[bytes], size: int) -> Iterator[tuple[IO[bytes], int]]:
    """*body* as it stands behind a `Transfer-Encoding: chunked` (RFC 9112, 7.1), and its bytes with that: readers of
    archives look for chunks where they are announced."""
    with SpooledTemporaryFile(IN_MEMORY) as framed:
        if size:
            framed.write(b"%x\r\n" % size)
            copyfileobj(body, framed)
            framed.write(b"\r\n")
        framed.write(b"0\r\n\r\n")
        length = framed.tell()
        framed.seek(0)
        yield framed, length
