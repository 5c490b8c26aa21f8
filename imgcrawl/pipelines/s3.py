"""S3: Scrapy's store, and large files in parts."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any, cast

from scrapy.pipelines.files import S3FilesStore
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import Deferred

PARTS_FROM = 8 * 1024 * 1024  # bytes; of as many is a part
_AT_ONCE = 4  # parts of a file


class S3Store(S3FilesStore):
    """As Scrapy's, but a file of more than PARTS_FROM bytes is sent in parts, some at a time; one that fails is sent
    again by itself. What is seen under its name is whole all the same. Without boto3 it is sent as others are."""

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
            with TransferManager(cast("Any", self).s3_client, config) as manager:
                manager.upload(str(name), self.bucket, f"{self.prefix}{path}", said).result()

        return deferred_from_coro(run_in_thread(send))
