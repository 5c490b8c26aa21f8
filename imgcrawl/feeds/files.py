"""What an exporter writes to: files whose items are on their way to disk when `write` returns."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scrapy import signals
from scrapy.utils.asyncio import run_in_thread

from imgcrawl.durability import GroupSync, wants_fsync
from imgcrawl.exceptions import ImgcrawlError, describe, record_fatal_error
from imgcrawl.feeds.atomic import TornWriteError, lock, signature_of, sync_folder, write_all
from imgcrawl.feeds.repair import columns_of, repair_tail
from imgcrawl.lines import escaped_json, without_commands

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector
    from typing_extensions import Buffer

    from imgcrawl.feeds.atomic import Signature

logger = logging.getLogger(__name__)

_PAUSES = (0.01,) * 20  # seconds, for a file that another crawl has alone while it writes its first item


class FeedFile(io.RawIOBase):
    """One `write` is one item, which is on its way to disk when `write` returns, or what `written` then gives is done.

    An item that cannot be written is counted (`lost`, the stat `feed/lost`), the first one is told, and the
    file is as if the attempt had not been made.
    """

    makes_array = False  # whether it makes a JSON array of what is written by itself

    def __init__(self, path: Path, stats: StatsCollector) -> None:
        self.path, self.stats = path, stats
        self.lost = 0
        self.is_waited_for = False  # whether somebody asks `written` about each item
        self._later: asyncio.Task[None] | None = None
        self._syncing = threading.Lock()
        self._unsynced: OSError | None = None
        self._folder_synced = False

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        size = memoryview(data).nbytes
        if self._later:  # one writer at a time
            item = bytes(data)
            self.write_later(lambda: item)
            return size
        try:
            self._append(data)
        except OSError as error:
            self._count_lost(error)
        return size

    def write_later(self, make: Callable[[], bytes]) -> None:
        """Have a thread write the item that *make* returns, after those that came before."""
        self._later = asyncio.create_task(self._write_after(self._later, make))

    async def _write_after(self, before: asyncio.Task[None] | None, make: Callable[[], bytes]) -> None:
        if before:
            await before
        try:
            await asyncio.to_thread(lambda: self._append(make()))
        except Exception as error:  # what cannot be made into an item is lost, too
            self._count_lost(error)
        if self._later is asyncio.current_task():
            self._later = None

    def written(self) -> Awaitable[None] | None:
        """What is to be waited for until all that was given is on its way to disk; None if it is."""
        return asyncio.shield(self._later) if self._later else None

    def sync(self) -> None:
        """Have what was written survive a power cut. Blocks; may be called from any thread. Raises OSError, which is
        counted as an item that cannot be written. After one failure each sync fails: the system tells it once, and may
        have dropped what it could not write."""
        with self._syncing:
            if self._unsynced:
                raise self._unsynced
            descriptor = self._descriptor()
            if descriptor is None:
                return
            try:
                os.fsync(descriptor)
            except OSError as error:
                self._unsynced = error
                self._count_lost(error)
                raise
            if not self._folder_synced:
                sync_folder(self.path.parent)
                self._folder_synced = True

    def _descriptor(self) -> int | None:
        """Of the file that has the items, None if there is none that a disk could have."""
        return None

    def _count_lost(self, error: Exception) -> None:
        self.lost += 1
        self.stats.inc_value("feed/lost")
        if self.lost == 1:
            sentence = f"Feed {self.path}: items cannot be written: {describe(error)}."
            logger.error(sentence)
            record_fatal_error(self.stats, sentence)

    def _append(self, data: Buffer) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Bring the file to its end. Raises ImgcrawlError if it lacks items."""
        if self.lost:
            raise ImgcrawlError(f"{self.lost} items could not be written")


class ItemWaiter:
    """Has an item's page be done when the item is on its way to disk, or with DURABILITY="fsync" on it; not before.

    It must be made before the first item comes, and after the feed exporter: then it is called when that has written.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._file: FeedFile | None = None
        self._sync: GroupSync | None = None
        crawler.signals.connect(self._item_scraped, signals.item_scraped)

    def wait_for(self, file: FeedFile) -> None:
        """From now on items are written to *file*."""
        file.is_waited_for = True
        self._file = file
        if wants_fsync(self._crawler.settings):
            self._sync = GroupSync(file.sync)

    async def _item_scraped(self, response: Any) -> None:
        if self._file and (written := self._file.written()):
            await written
        if self._sync:
            await self._sync.wait_for(self._crawler, response)

    async def end(self, file: FeedFile) -> None:
        """Bring *file* to its end. Raises OSError and ImgcrawlError."""
        self._crawler.signals.disconnect(self._item_scraped, signals.item_scraped)
        if written := file.written():
            await written
        if self._sync:
            await run_in_thread(file.sync)
        await run_in_thread(file.finish)


class UnwritableFeed(FeedFile):
    """Stands for a file that cannot be opened, and counts what it should have held."""

    makes_array = True  # so that it is given items, and nothing else

    def __init__(self, path: Path, stats: StatsCollector, why: Exception) -> None:
        super().__init__(path, stats)
        self._reason = describe(why)

    def _append(self, data: Buffer) -> None:
        raise OSError(self._reason)


class LinesFile(FeedFile):
    """A file of lines or rows. *columns* is the header that a CSV file has already.

    Any number of crawls may add to one file. The first item takes the place of what the file had when the crawl began
    (*replaces*), unless another crawl has written to it since: then that stays, and what was there before it.
    Raises OSError, and InputError as `repair_tail` does.
    """

    def __init__(
        self, path: Path, stats: StatsCollector, *, replaces: Signature | None = None, dialect: dict[str, Any] | None
    ) -> None:
        super().__init__(path, stats)
        self.columns: list[str] = []
        self._replaces, self._dialect, self._begun = replaces, dialect, False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._regular = path.is_file()
        try:
            if self._regular and not replaces:
                self._repair()
        except BaseException:
            self._file.close()
            raise
        self._found = replaces or signature_of(self._file.fileno())

    def _repair(self) -> None:
        # A file of its own, and its lock with it: a crawl has the feed from its first item on.
        with self.path.open("ab", buffering=0) as file:
            # Where another crawl has the feed, its last line is not torn but being written.
            if lock(file, alone=True):
                keep, add = repair_tail(self.path, self._dialect)
                if keep < file.tell():
                    file.truncate(keep)
                write_all(file, add)
        if self._dialect is not None:
            self.columns = columns_of(self.path, self._dialect)

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """What is written inside is in one piece where it has the first item; `columns` are then those of the file."""
        if self._begun or not self._regular:
            yield
            return
        self._begun = True
        try:
            self._begin()
            yield
        finally:
            lock(self._file, alone=False)

    def _begin(self) -> None:
        # Who has begun shares the file: so who has it alone is the first, and nobody writes before it is truncated.
        is_alone = False
        if self._replaces or (self._dialect is not None and not self.columns):
            for pause in _PAUSES:
                is_alone = lock(self._file, alone=True)
                if is_alone or not self._is_as_found():
                    break
                time.sleep(pause)
        if not is_alone:
            lock(self._file, alone=False)
        if is_alone and self._replaces and self._is_as_found():
            self._file.truncate(0)
        elif self._dialect is not None:
            self.columns = columns_of(self.path, self._dialect)

    def _is_as_found(self) -> bool:
        found = signature_of(self.path)
        return found == self._found or not found or not found[0]

    def _append(self, data: Buffer) -> None:
        with self.beginning():
            self._write(data)

    def _write(self, data: Buffer) -> None:
        try:
            write_all(self._file, data)
        except TornWriteError as error:
            # What another crawl has added meanwhile must stay.
            if self._regular and (end := self._file.tell()) == self._file.seek(0, os.SEEK_END):
                self._file.truncate(end - error.written)
            raise

    def _descriptor(self) -> int | None:
        return self._file.fileno() if self._regular and not self._file.closed else None

    def close(self) -> None:
        if hasattr(self, "_file"):
            with self._syncing:
                self._file.close()
        super().close()

    def finish(self) -> None:
        self.close()
        if self._replaces and not self._begun and signature_of(self.path) == self._replaces:
            tell_nothing_new(self.path)
        super().finish()


def tell_nothing_new(feed: Path | str) -> None:
    """Say that *feed* was not replaced by an empty one."""
    logger.warning("Feed %s is as it was: this crawl has brought no item to take its place.", feed)


class StreamFile(FeedFile):
    """A stream that is not ours to close, such as stdout: whoever reads it has an item when `write` returns.

    What a terminal would obey is escaped in JSON (*is_json*), and replaced in other text where a terminal reads it.
    Without an *encoding* what is written is no text.
    """

    def __init__(self, stream: IO[bytes], stats: StatsCollector, encoding: str = "", *, is_json: bool = False) -> None:
        super().__init__(Path("stdout"), stats)
        self._stream = stream
        self._encoding = encoding if is_json or stream.isatty() else ""
        self._harmless = escaped_json if is_json else without_commands

    def _append(self, data: Buffer) -> None:
        if self._encoding:
            text = self._harmless(bytes(data).decode(self._encoding, "replace"))
            data = text.encode(self._encoding, "replace")
        self._stream.write(data)
        self._stream.flush()
