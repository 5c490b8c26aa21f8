"""How a body is received: in memory, or in a file as it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.bodies import IN_MEMORY, BodyFile, MediaRequest, body_file_of
from imgcrawl.downloader import download
from imgcrawl.images.damage import ends_where_it_should
from imgcrawl.images.filters import ImageFilters
from imgcrawl.pages.within import photograph_within
from imgcrawl.pipelines.servernames import named_by_server
from imgcrawl.pipelines.staging import Staging


@dataclass(frozen=True)
class Arrival:
    """An answer that is to be kept: *key* is the fingerprint of its request, *requested_path* the path its item
    asked for, without an extension, and *named_path* that path with what the answer says of it. The body is in *file*,
    or in *response* if that is None."""

    response: Response
    key: bytes
    requested_path: str
    named_path: str
    file: Path | None = None
    warnings: tuple[str, ...] = ()  # of `images.damage.WARNINGS`, about how it came

    @cached_property
    def checksum(self) -> str:
        """The sha256 of the body, in hex."""
        if self.file is None:
            return hashlib.sha256(self.response.body).hexdigest()
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def size(self) -> int:
        """The bytes of the body."""
        return self.file.stat().st_size if self.file else len(self.response.body)


class Receiver:
    """Has bodies that *filters* refuse read no further than that shows, and bodies of more than *in_memory* bytes
    written to *staging* as they come. *limits* are for the meta of their requests (``download_maxsize`` in bytes,
    ``download_timeout`` in seconds). Unless *strict*, a body that breaks off where it seems to be whole is received,
    with a warning."""

    def __init__(
        self,
        staging: Staging,
        *,
        in_memory: int = IN_MEMORY,
        limits: Mapping[str, float] = {},
        filters: ImageFilters | None = None,
        strict: bool = False,
    ) -> None:
        self.staging = staging
        self.in_memory = in_memory
        self.is_whole = None if strict else ends_where_it_should
        self.limits = limits
        self.filters = filters if filters != ImageFilters() else None

    @contextmanager
    def receiving(self, request: Request) -> Iterator[Request]:
        """The request to send in place of *request*, with what must be there until its body has been looked at."""
        make_path, in_memory = self.staging.unused_path, self.in_memory
        body_file = BodyFile(make_path, in_memory=in_memory, filters=self.filters, is_whole=self.is_whole)
        sent = request if isinstance(request, MediaRequest) else request.replace(cls=MediaRequest)
        sent.body_file = body_file
        sent.meta.update(self.limits)
        try:
            yield sent
        finally:
            body_file.remove()

    def _check(self, arrival: Arrival) -> Arrival:
        if self.filters and arrival.size:  # one without a body is "empty"
            self.filters.check_bytes(arrival.size)
        return arrival

    def arrival(self, response: Response, request: Request, key: bytes, requested_path: str) -> Arrival:
        """What *response* to *request* brought. Raises `ImageError` for too few bytes."""
        body_file = body_file_of(response.request) if response.request else None
        file = body_file.path if body_file and body_file.is_written else None
        named_path = named_by_server(response, request, requested_path)
        told = {"cut_off": bool(body_file and body_file.is_cut), "thumbnail": bool(request.meta.get("image_is_copy"))}
        warnings = tuple(name for name, holds in told.items() if holds)
        return self._check(Arrival(response, key, requested_path, named_path, file, warnings))


async def answered(crawler: Crawler, request: Request) -> Response:
    """The answer to *request*, that of an image: what its page has of it, or else what its server sends."""
    is_within = request.url.startswith("data:") and not crawler.settings.getbool("IMAGES_SIMULATE")
    body = photograph_within(request.url) if is_within else None
    return Response(request.url, body=body) if body else await download(crawler, request)
