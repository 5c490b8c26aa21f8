"""S3: Scrapy's store, with an end to all waiting, and large files in parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BytesIO
from typing import Any

from scrapy.exceptions import NotConfigured
from scrapy.pipelines.files import S3FilesStore, StatInfo
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imgcrawl.pipelines.loststores import TIMEOUT, LostStoreError

PARTS_FROM = 8 * 1024 * 1024  # bytes; of as many is a part
_AT_ONCE = 4  # parts of a file
_ABANDONED = timedelta(hours=6)  # after which nobody sends any more what was begun to be sent in parts


def client_of(setting: Callable[[str], Any], timeout: float, connections: int | None = None) -> Any:
    """A client of S3 with the credentials and the endpoint of AWS_…, of which each *setting* is asked for; it waits
    *timeout* seconds for an answer and keeps so many *connections*. Raises ImportError, and what the library does."""
    limits: dict[str, Any] = {"max_pool_connections": connections} if connections is not None else {}
    session = import_module("botocore.session").get_session()
    client = session.create_client(
        "s3",
        aws_access_key_id=setting("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=setting("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=setting("AWS_SESSION_TOKEN"),
        endpoint_url=setting("AWS_ENDPOINT_URL"),
        region_name=setting("AWS_REGION_NAME"),
        use_ssl=setting("AWS_USE_SSL"),
        verify=setting("AWS_VERIFY"),
        config=import_module("botocore.config").Config(connect_timeout=timeout, read_timeout=timeout, **limits),
    )
    # To ask whether a file may be sent takes as long as to send one: an answer more, from far away.
    if ask := getattr(import_module("botocore.handlers"), "add_expect_header", None):
        client.meta.events.unregister("before-call.s3", ask)
    return client


class S3Store(S3FilesStore):
    """As Scrapy's, but a service that gives no answer for *timeout* seconds, as often as the library asks, is an error;
    and a file of more than PARTS_FROM bytes is sent in parts, some at a time; one that fails is sent again by itself.
    What is seen under its name is whole all the same. Without boto3 it is sent as others are."""

    timeout = TIMEOUT
    connections = 10  # that are kept from one file to the next

    def __init__(self, uri: str) -> None:  # in place of Scrapy's, whose client may wait for minutes
        try:
            self.s3_client: Any = client_of(lambda name: getattr(self, name), self.timeout, self.connections)
        except ImportError as error:
            raise NotConfigured("missing botocore library") from error
        self.bucket, self.prefix = uri.removeprefix("s3://").split("/", 1)

    def stat_file(self, path: str, info: MediaPipeline.SpiderInfo) -> Deferred[StatInfo]:
        """As Scrapy's; fails with `LostStoreError` where the service has not answered, or with an error of its own."""
        return super().stat_file(path, info).addErrback(_lost_without_answer)

    def persist_file(
        self,
        path: str,
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Deferred[Any]:
        name = getattr(buf, "name", None)
        if name is None or buf.seek(0, os.SEEK_END) <= PARTS_FROM:
            return super().persist_file(path, buf, info, meta, headers)
        try:
            from s3transfer.manager import TransferConfig, TransferManager  # noqa: PLC0415 -- for what is large only
        except ImportError:
            return super().persist_file(path, buf, info, meta, headers)
        said = {**self._headers_to_botocore_kwargs({**self.HEADERS, **(headers or {})}), "ACL": self.POLICY}
        said["Metadata"] = {key: str(value) for key, value in (meta or {}).items()}
        config = TransferConfig(multipart_threshold=PARTS_FROM, multipart_chunksize=PARTS_FROM)
        config.max_request_concurrency = _AT_ONCE

        def send() -> None:
            self._remove_abandoned(f"{self.prefix}{path}")
            with TransferManager(self.s3_client, config) as manager:
                manager.upload(str(name), self.bucket, f"{self.prefix}{path}", said).result()

        return deferred_from_coro(run_in_thread(send))

    def _remove_abandoned(self, key: str) -> None:
        """Remove the parts of this object that a crawl had sent when it was killed: nobody sees them, and they cost.
        Some services, and some keys, do not allow to look."""
        with suppress(Exception):
            for upload in self.s3_client.list_multipart_uploads(Bucket=self.bucket, Prefix=key).get("Uploads", ()):
                if upload["Key"] == key and datetime.now(UTC) - upload["Initiated"] > _ABANDONED:
                    self.s3_client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload["UploadId"])


def _lost_without_answer(failure: Failure) -> Failure:
    error = failure.value
    answer = getattr(error, "response", None)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) if isinstance(answer, dict) else 500
    if error is not None and status >= 500:
        raise LostStoreError(error) from error
    return failure  # there is no such object, or nobody may ask for it
