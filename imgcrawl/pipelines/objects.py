"""What is in an object store that speaks S3, for commands that read it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.loststores import TIMEOUT, LostStoreError
from imgcrawl.pipelines.s3 import client_of
from imgcrawl.pipelines.stores import full_address, is_plain

_PIECE = 1 << 20  # bytes that are held of an object whose checksum is wanted
_NOT_THERE = {"404", "NoSuchKey", "NotFound"}


class StoredObjects:
    """The objects below *uri* (`s3://bucket/prefix`), with the credentials and the endpoint of *settings* (`AWS_…`), by
    the names that a crawl gave them. Its methods wait for the network, and are for any number of threads.

    Raises `InputError` where the library is missing or the address is none, `LostStoreError` for what the service does
    not answer, which is never taken for "not there".
    """

    def __init__(self, uri: str, settings: BaseSettings) -> None:
        self.uri = full_address(uri)
        self._bucket, _, self._prefix = self.uri.removeprefix("s3://").partition("/")
        try:
            timeout = settings.getfloat("IMAGES_STORE_TIMEOUT", TIMEOUT)
            self._client: Any = client_of(settings.get, timeout)
        except ImportError as error:
            raise InputError(f"{uri} needs a library ({error}); install it with imgcrawl[s3]") from error
        except Exception as error:  # of the library: an endpoint that is no address, say
            raise InputError(
                f"{uri} cannot be used ({error}); expected s3://bucket/prefix and AWS_… settings"
            ) from error

    def files(self) -> Iterator[str]:
        """The names of all objects, but for thumbnails, and those that begin with a dot."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        try:
            for page in pages:
                for entry in page.get("Contents", ()):
                    name = entry["Key"].removeprefix(self._prefix)
                    if not name.startswith(("thumbs/", ".")) and not name.endswith("/"):  # "folders" of some programs
                        yield name
        except Exception as error:  # as the store of a crawl has it
            raise LostStoreError(error) from error

    def stat(self, name: str) -> tuple[int, int, int] | None:
        """The size of an object, where a file has its time and its inode 0; None if there is no such object."""
        found = self._asked(self._client.head_object, name)
        return None if found is None else (found["ContentLength"], 0, 0)

    def checksum(self, name: str) -> str | None:
        """The sha256 of an object, in hex, as it is read now; None if there is no such object."""
        found = self._asked(self._client.get_object, name)
        if found is None:
            return None
        digest = hashlib.sha256()
        try:
            for piece in found["Body"].iter_chunks(_PIECE):
                digest.update(piece)
        except Exception as error:  # of urllib3, and others
            raise LostStoreError(error) from error
        return digest.hexdigest()

    def body(self, name: str, most: int) -> bytes:
        """As `FileStore.body`."""
        found = self._asked(self._client.get_object, name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", name)
        if found["ContentLength"] > most:
            found["Body"].close()
            raise OSError(errno.EFBIG, f"it has more than {most} bytes", name)
        try:
            return bytes(found["Body"].read())
        except Exception as error:  # of urllib3, and others
            raise LostStoreError(error) from error

    def read(self, name: str) -> bytes | None:
        """The bytes of an object; None if there is no such object."""
        found = self._asked(self._client.get_object, name)
        try:
            return None if found is None else bytes(found["Body"].read())
        except Exception as error:  # as above
            raise LostStoreError(error) from error

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> StoredObjects | None:
        """Those of IMAGES_STORE; None if that is no `s3://`, or the library is missing. Raises `InputError` for an
        address that is none."""
        uri = str(settings.get("IMAGES_STORE") or "")
        if not uri.startswith("s3://") or find_spec("botocore") is None:
            return None
        return cls(uri, settings)

    def _asked(self, ask: Any, name: str) -> Any:
        if not is_plain(name):
            return None
        try:
            return ask(Bucket=self._bucket, Key=f"{self._prefix}{name}")
        except Exception as error:  # each kind of trouble has a class that the client makes
            with suppress(AttributeError, KeyError, TypeError):
                if str(error.response["Error"]["Code"]) in _NOT_THERE:  # type: ignore[attr-defined] # of ClientError
                    return None
            raise LostStoreError(error) from error
