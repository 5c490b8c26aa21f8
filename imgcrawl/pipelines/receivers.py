"""How a body is received: in memory, or in a file as it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from scrapy import Request
from scrapy.http import Response

from imgcrawl.pipelines.stores import FileStore


@dataclass(frozen=True)
class Arrival:
    """An answer that is to be kept: *key* is the fingerprint of its request, *requested_path* the path its item
    asked for, without an extension. The body is in *file*, or in *response* if that is None."""

    response: Response
    key: bytes
    requested_path: str
    file: Path | None = None

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


class Receiver(Protocol):
    """How the bodies of a pipeline are received."""

    def receiving(self, request: Request) -> AbstractContextManager[Any]:
        """What must be there while *request* is under way, and while its body is looked at."""

    def arrival(self, response: Response, key: bytes, requested_path: str) -> Arrival:
        """What *response* brought."""


class MemoryReceiver:
    """Holds bodies in memory."""

    def receiving(self, request: Request) -> AbstractContextManager[Any]:
        return nullcontext()

    def arrival(self, response: Response, key: bytes, requested_path: str) -> Arrival:
        return Arrival(response, key, requested_path)


class FileReceiver:
    """Has bodies written to the staging folder of *store* as they come: at most *maxsize* bytes within *timeout* s."""

    def __init__(self, store: FileStore, *, maxsize: int, timeout: float) -> None:
        self.store = store
        self.limits = {"download_maxsize": maxsize, "download_timeout": timeout}

    @contextmanager
    def receiving(self, request: Request) -> Iterator[None]:
        with self.store.staging.unused() as path:
            request.meta.update(self.limits, download_to=str(path))
            yield

    def arrival(self, response: Response, key: bytes, requested_path: str) -> Arrival:
        return Arrival(response, key, requested_path, Path(response.meta["download_to"]))
