"""STORE, in a directory: staged, published in groups, recorded."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from io import BytesIO
from itertools import chain
from pathlib import Path

from scrapy.pipelines.media import MediaPipeline

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.exceptions import ImageError
from imgcrawl.images.names import file_names
from imgcrawl.images.room import CostlyError
from imgcrawl.pipelines.examiners import Examined, Examiner, examined
from imgcrawl.pipelines.futures import settle_soon
from imgcrawl.pipelines.lookalikes import Lookalikes
from imgcrawl.pipelines.outcomes import left_beside, same_bytes
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.pipelines.together import Together

GROUP_MAX = 32  # images of one transaction, for which other workers wait

_Kept = asyncio.Future[tuple[str, Record]]  # an image's status, and what the catalogue has of it


@dataclass(frozen=True, slots=True)
class _Staged:
    """A verified image in a file that nobody sees yet, and is gone when *file* is closed."""

    image: Examined
    path: Path
    file: ExitStack
    kept: _Kept
    look: bytes | None = None


class LocalKeeper:
    """Keeps images in the directory of *store*, and in the *catalogue*, with *threads* that wait for the disk.

    With IMAGES_NAME_CHECKSUM each name has a part of its checksum (`names.file_names`), with IMAGES_LAST_MODIFIED each
    file the time that its site says.
    """

    def __init__(
        self, store: FileStore, catalogue: Catalogue, threads: ThreadPoolExecutor, config: PipelineSettings
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.threads = threads
        self.config = config
        self.looks = Lookalikes(catalogue) if config.similar == "refuse" else None
        self._ready: deque[_Staged] = deque()
        self._publishing = threading.Lock()
        self._coming: deque[None] = deque()  # images that one of *threads* will stage after those that it is at

    async def is_intact(self, record: Record) -> bool:
        """Whether the file of *record* has the bytes it had, which are read."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._has_its_bytes, record)

    async def is_gone(self, record: Record) -> bool:
        """Whether there surely is no file under the path of *record*."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, self.store.is_gone, record.path)

    def is_unchanged(self, record: Record) -> bool:
        """Whether the file of *record* is, by its size, time and inode, as it was when its bytes were last known."""
        noted = (record.bytes, record.mtime_ns, record.inode)
        return record.mtime_ns > 0 and not self.config.check_by_hash and self.store.stat(record.path) == noted

    def _has_its_bytes(self, record: Record) -> bool:
        found = self.store.stat(record.path)
        if found is None or self.store.checksum(record.path) != record.checksum:
            return False
        if found[1:] != (record.mtime_ns, record.inode):  # touched, moved or restored, or of an older catalogue
            with self.catalogue.transaction():
                self.catalogue.note_file(replace(record, mtime_ns=found[1], inode=found[2]))
        return True

    async def keep(
        self, arrival: Arrival, placeholders: Placeholders, threads: ThreadPoolExecutor, examiner: Examiner
    ) -> tuple[str, Record]:
        """Verify, store and record *arrival* in *threads*: its status and its record. Raises what *examiner* does, and
        OSError."""
        kept: _Kept = asyncio.get_running_loop().create_future()
        if is_queued := threads is self.threads:
            self._coming.append(None)
        try:
            threads.submit(self._stage_and_publish, arrival, examiner, placeholders, kept, is_queued)
        except BaseException:  # it takes no more
            if is_queued:
                self._coming.pop()
            raise
        try:
            return await kept
        finally:
            del kept  # an error in it has a traceback, which has this frame: the body would stay for long

    async def keep_derived(
        self,
        make: Callable[[Examiner], Iterable[tuple[str, bytes]]],
        info: MediaPipeline.SpiderInfo,
        threads: ThreadPoolExecutor,
        examiner: Examiner,
    ) -> None:
        """Store the files that *make*, in *threads* with *examiner*, gives: each a path and bytes, which may be made
        anew at any time."""

        def store() -> None:
            for path, body in make(examiner):
                self.store.persist_file(path, BytesIO(body), info)

        await asyncio.get_running_loop().run_in_executor(threads, store)

    def _stage_and_publish(
        self, arrival: Arrival, examiner: Examiner, placeholders: Placeholders, kept: _Kept, is_queued: bool
    ) -> None:
        if is_queued:
            self._coming.popleft()
        self._stage(arrival, examiner, placeholders, kept)
        # Whoever comes while images are published leaves its own to that thread, and whoever knows that others are
        # coming to these: a transaction for many of them costs less than one for each, and nobody waits for a lock.
        while (
            self._ready
            and (not self._coming or len(self._ready) >= GROUP_MAX)
            and self._publishing.acquire(blocking=False)
        ):
            try:
                images = [self._ready.popleft() for _ in range(min(len(self._ready), GROUP_MAX))]
                self._publish_together(images)
            finally:
                self._publishing.release()

    def _stage(self, arrival: Arrival, examiner: Examiner, placeholders: Placeholders, kept: _Kept) -> None:
        """Verify *arrival*, and have it in a file that is ready to be published; or say what kept it from that."""
        with ExitStack() as file:
            try:
                image = examined(arrival, examiner, placeholders)
                look = examiner.look(arrival) if self.looks else None
                if arrival.file:
                    self.store.sync_staged(arrival.file)
                path = arrival.file or file.enter_context(self.store.staged(arrival.response.body))
            except (ImageError, CostlyError) as error:
                settle_soon([(kept, error.with_traceback(None))])  # its frames have the body
                return
            except BaseException as error:  # to be raised where the image is waited for
                settle_soon([(kept, error)])
                return
            self._ready.append(_Staged(image, path, file.pop_all(), kept, look))

    def _publish_together(self, images: Sequence[_Staged]) -> None:
        if not images:  # another thread was faster
            return
        outcomes: Sequence[tuple[str, Record] | BaseException]
        try:
            if self.looks:
                self.looks.catch_up()
            with self.store.folders.kept_open(), self.catalogue.transaction():
                together = Together(self.catalogue, [staged.image.record for staged in images])
                outcomes = [self._publish(staged, together) for staged in images]
                together.write()
                kept = [each for each in outcomes if isinstance(each, tuple)]
                self.store.sync(record.path for status, record in kept if status == "downloaded")
        except BaseException as error:  # to be raised where the image is waited for
            if len(images) > 1:  # what cannot be published must not harm the others; to publish twice changes nothing
                for image in images:
                    self._publish_together([image])
                return
            outcomes = [error]
        settle_soon([(image.kept, outcome) for image, outcome in zip(images, outcomes, strict=True)])
        for image in images:
            with suppress(OSError):  # the store removes what is left when it is closed
                image.file.close()

    def _publish(self, ready: _Staged, catalogue: Together) -> tuple[str, Record] | ImageError:
        """Give a staged image its name and its record; or say why it is not wanted beside those that are stored."""
        image, staged = ready.image, ready.path
        record, checksum = image.record, image.record.checksum
        before = catalogue.find(record.key)
        is_once, own = self.config.same_bytes == "once", before.path if before else ""
        others = catalogue.files_of(checksum) if self.config.same_bytes != "again" else ()
        status = "downloaded"
        for known in others if is_once or not before else chain([own], others):
            if self.store.checksum(known) == checksum:
                if is_once or known == own:
                    record, status = same_bytes(record, known, before)
                    path = known
                    break
                with self.store.linked(known) as link:
                    path = self._named(image, link or staged, catalogue)
                break
        else:
            if self.looks and ready.look and (other := self.looks.like(ready.look, record)):
                return ImageError("similar", f"as {other}")
            if self.config.last_modified:
                set_last_modified(staged, record.last_modified)
            path = self._named(image, staged, catalogue)
        _, mtime_ns, inode = self.store.stat(path) or (0, 0, 0)
        record = replace(record, path=path, mtime_ns=mtime_ns, inode=inode)
        catalogue.put(record)
        left = left_beside(before, record)
        if left and self.store.checksum(left.path) == left.checksum:
            catalogue.put(left)
        if self.looks and ready.look:
            self.looks.note(ready.look, record)
        return status, record

    def _named(self, image: Examined, staged: Path, catalogue: Together) -> str:
        """The path of *image*, now that the *staged* file has its name."""
        checksum = image.record.checksum
        names = file_names(image.named_path, image.extension, checksum, with_checksum=self.config.with_checksum)
        return self.store.publish(staged, names, checksum, lambda name: catalogue.has_file(name, checksum))


def set_last_modified(file: Path, said: str) -> None:
    """Give *file* the time that a Last-Modified header *said*, if that is one (RFC 9110, 5.6.7)."""
    with suppress(ValueError, TypeError, OverflowError, IndexError, OSError):
        when = parsedate_to_datetime(said).timestamp()
        os.utime(file, (when, when))
