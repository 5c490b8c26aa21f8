"""A `.json` feed and the journal beside it; the package's docstring says how they are written."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.exceptions import ImgcrawlError, InputError, describe
from imgcrawl.feeds.atomic import (
    copy_bytes,
    hidden_sibling,
    lock,
    replacing,
    same_bytes,
    signature_of,
    write_all,
)
from imgcrawl.feeds.files import FeedFile, tell_nothing_new
from imgcrawl.feeds.json_array import ArrayItems, array_end
from imgcrawl.ownfiles import open_own

if TYPE_CHECKING:
    from scrapy.statscollectors import StatsCollector
    from typing_extensions import Buffer

logger = logging.getLogger(__name__)

PAUSE = 20  # times the duration of the last publishing: at most 5 % of the time goes into it
RETRY = 5.0  # seconds until a publishing that failed is tried again


class BeingWrittenError(InputError):
    """Another crawl writes the feed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"Feed {path} is being written by another crawl: wait for its end, or give another name.")


class JsonFile(FeedFile):
    """A JSON array that is whole at every moment; the module's docstring says how.

    The journal holds a `MARK`, then each item with a comma before it. The mark says which format that is, where the
    array's last item ended when it was last published, and up to which byte the journal was in the array then.
    `_body` is that end; an empty array's is 1.
    Raises OSError, InputError (no array, no journal or that of a newer release, another crawl has it).
    """

    makes_array = True
    FORMAT = 0  # of the journal
    MARK = re.compile(rb"(\d\d)(\d{18}) (\d{20})\n")
    MARK_SIZE = 42

    def __init__(self, path: Path, stats: StatsCollector, *, overwrite: bool, indent: int | None) -> None:
        super().__init__(path, stats)
        self._made_folder = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._overwrite = overwrite
        self._keeps_old = False  # until there is an item
        self._separator, self._tail = (b",", b"]") if indent is None else (b",\n", b"\n]")
        self._journal_path = hidden_sibling(path, "journal")
        self._body, self._published = 1, self.MARK_SIZE
        self._news, self._ended = threading.Event(), threading.Event()
        self._publisher: threading.Thread | None = None
        self._journal = claim_journal(path)
        self._written = self._journal.seek(0, os.SEEK_END)
        self._journal.seek(0)
        self._signature = signature_of(path)
        # The publisher's own place in the journal: positions belong to the open file.
        try:
            self._reader = open_own(self._journal_path)
        except BaseException:
            self._journal.close()
            raise
        try:
            mark = self._read_mark()
            if not overwrite:
                self._take_up(mark)
        except BaseException:
            self.discard()
            raise

    def _read_mark(self) -> re.Match[bytes] | None:
        if not os.path.samestat(os.fstat(self._reader.fileno()), os.fstat(self._journal.fileno())):
            raise InputError(f"{self._journal_path} was replaced by another file: remove it, then try again.")
        head = self._journal.read(self.MARK_SIZE)
        mark = self.MARK.fullmatch(head)
        if len(head) == self.MARK_SIZE and not mark:
            raise InputError(f"{self._journal_path} is not the journal of a feed: remove it, then try again.")
        if mark and int(mark[1]) > self.FORMAT:
            raise InputError(
                f"{self._journal_path} is of format {int(mark[1])}, expected {self.FORMAT} or less: a newer release of"
                " imgcrawl has left items in it; go on with that one, or remove it, and the items."
            )
        return mark

    def _take_up(self, mark: re.Match[bytes] | None) -> None:
        if self._signature:
            self._body = array_end(self.path, self._signature)
        if not mark:  # new, or killed while it was made
            self._mark()
            self._written = self.MARK_SIZE
            return
        body, published = int(mark[2]), int(mark[3])
        # Killed between renaming and marking: what follows the marked end is what follows in the journal.
        begin, more = published + (body == 1), self._body - body
        if more > 0 and same_bytes(self.path, body, self._journal_path, begin, more):
            published = begin + more
        published = min(published, self._written)
        left = ArrayItems(self._journal, published, inside=True).read_all()
        self._journal.truncate(left.end)
        self._published, self._written = published, left.end
        self._mark()
        if left.count:
            self._publish()
            logger.info("Feed %s: took up %d items that a killed crawl had left in its journal", self.path, left.count)

    def start(self) -> None:
        """Begin to publish. With *overwrite* the first item takes the place of what was there; where nothing was, an
        empty array does."""
        if self._overwrite:
            self._signature = signature_of(self.path)
            self._journal.truncate(self.MARK_SIZE)
            self._written = self.MARK_SIZE
            self._mark()
        self._keeps_old = self._overwrite and self._signature is not None
        if self._overwrite and not self._keeps_old:
            try:
                self._publish()
            except (OSError, ImgcrawlError):
                self._news.set()  # the publisher tries again, and tells
        self._publisher = threading.Thread(target=self._keep_publishing, name=f"feed {self.path.name}", daemon=True)
        self._publisher.start()

    def _append(self, data: Buffer) -> None:
        self._journal.seek(self._written)
        try:
            written = write_all(self._journal, self._separator + bytes(data))
        except OSError:
            self._journal.truncate(self._written)
            raise
        self._written += written
        self._keeps_old = False
        self._news.set()

    def _keep_publishing(self) -> None:
        told = ""
        while self._news.wait() and not self._ended.is_set():
            self._news.clear()
            started, failure = time.monotonic(), ""
            try:
                self._publish()
            except (OSError, ImgcrawlError) as error:
                failure = describe(error)
                self._news.set()
            if failure and failure != told:
                waiting = self._journal_path
                logger.error("Feed %s is behind, its items wait in %s: %s", self.path, waiting, failure)
            told = failure
            self._ended.wait(PAUSE * (time.monotonic() - started) + (RETRY if failure else 0))

    def _publish(self) -> None:
        end = self._written
        signature = signature_of(self.path)
        if signature and signature != self._signature:
            raise ImgcrawlError("another program has changed it")
        # Someone may have moved the array away: the next one begins where that one ends.
        body = self._body if signature else 1
        begin = min(self._published + (body == 1), end)
        # A half copy would take the space that images and the journal still need.
        disk = shutil.disk_usage(self.path.parent)
        if disk.total and body + end - begin + len(self._tail) > disk.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            with replacing(self.path) as target:
                if body == 1:
                    write_all(target, b"[")
                else:
                    with self.path.open("rb", buffering=0) as source:
                        copy_bytes(source, 0, body, target)
                copy_bytes(self._reader, begin, end - begin, target)
                write_all(target, self._tail)
                self._signature = signature_of(target.fileno())
        except OSError:
            self._signature = signature
            raise
        self._body = body + end - begin
        self._published = end
        self._mark()

    def _descriptor(self) -> int | None:
        return None if self._journal.closed else self._journal.fileno()

    def _mark(self) -> None:
        self._reader.seek(0)
        write_all(self._reader, b"%02d%018d %020d\n" % (self.FORMAT, self._body, self._published))

    def finish(self) -> None:
        """Publish what is missing and remove the journal. Raises ImgcrawlError if the array lacks items."""
        self._ended.set()
        self._news.set()
        if self._publisher:
            self._publisher.join()
        try:
            if self._written > self._published or not self.path.exists():
                self._publish()
            elif self._keeps_old:
                tell_nothing_new(self.path)
        except (OSError, ImgcrawlError) as error:
            raise ImgcrawlError(f"{describe(error)}; items wait in {self._journal_path} for the next -o") from error
        finally:
            self.discard()
        super().finish()

    def close(self) -> None:
        # A feed that Scrapy only tries out is never opened, and let go of when nothing refers to it.
        if hasattr(self, "_reader"):
            self.discard()
        super().close()

    def discard(self) -> None:
        """Let go of the file; the journal stays if it has items that the array has not."""
        if self._journal.closed:
            return
        if self._written <= self._published:
            self._journal_path.unlink(missing_ok=True)
            if self._made_folder:
                with contextlib.suppress(OSError):  # it is not empty
                    self.path.parent.rmdir()
        self._reader.close()
        with self._syncing:
            self._journal.close()


def claim_journal(path: Path) -> io.FileIO:
    journal = hidden_sibling(path, "journal")
    while True:
        file = open_own(journal)
        if not lock(file, alone=True):
            file.close()
            raise BeingWrittenError(path)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(journal.stat(), os.fstat(file.fileno())):
                return file
        file.close()  # the crawl that had it has just removed it
