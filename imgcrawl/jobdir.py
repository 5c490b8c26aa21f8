"""A JOBDIR that only a crawl which ended in order goes on from: Scrapy's own, after a kill, loses pages in silence."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import pickletools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scrapy.dupefilters import RFPDupeFilter
from scrapy.utils.job import job_dir

from imgcrawl.exceptions import InputError, describe, record_fatal_error
from imgcrawl.filelocks import lock

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

NOTE = "imgcrawl.json"  # whose crawl it is and, once that has ended in order, the checksums of what it left
LOCK = "imgcrawl.lock"


class DupeFilter(RFPDupeFilter):
    """Scrapy's, which goes on with the crawl in JOBDIR only where that was stopped in order and is whole.

    One that was killed has let go of the pages it was at, and knows them as seen; one whose files are damaged cannot be
    read. Such a crawl begins anew, and so does one that is done: what is stored is not asked for again. Raises
    `InputError` for the JOBDIR of another spider, one that another crawl has, and one that cannot be written to.
    """

    _job: Job | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        folder = job_dir(crawler.settings)
        job = Job(Path(folder), crawler.spidercls.name) if folder else None
        if job:
            job.begin()
        made = super().from_crawler(crawler)
        made._job = job
        return made

    def close(self, reason: str) -> None:
        """Scrapy's scheduler has written its queue by now."""
        super().close(reason)
        if self._job:
            self._job.end()

    def abandon(self) -> None:
        """Nobody can go on from what is in JOBDIR: the next start begins anew."""
        self._job = None


class Job:
    """What Scrapy keeps of the crawl of *spider* in the *folder* JOBDIR."""

    def __init__(self, folder: Path, spider: str) -> None:
        self._folder = folder
        self._spider = spider
        self._note = folder / NOTE

    def begin(self) -> None:
        try:
            self._lock = (self._folder / LOCK).open("ab")
            lock(self._lock)
            self._prepare()
        except BlockingIOError:
            raise InputError(
                f"JOBDIR={self._folder}: another crawl is under way with it; expected one of its own"
            ) from None
        except OSError as error:
            raise InputError(
                f"JOBDIR={self._folder}: {describe(error)}; expected a folder that can be written to"
            ) from error

    def end(self) -> None:
        self._write(files=self._checksums())

    def _prepare(self) -> None:
        note = self._read()
        if note.get("spider", self._spider) != self._spider:
            raise InputError(
                f"JOBDIR={self._folder}: it has a crawl of the spider {note['spider']!r}; expected one of "
                f"{self._spider!r}, or an empty folder"
            )
        queue, seen, state = (self._folder / name for name in ("requests.queue", "requests.seen", "spider.state"))
        if not (queue.exists() or seen.exists() or state.exists()):
            pass
        elif note.get("files") != self._checksums() or not _is_pickle(state):
            logger.warning(
                "JOBDIR=%s: its crawl was killed, or files in it are damaged: it begins anew, and what is stored is "
                "not asked for again",
                self._folder,
            )
            self._empty(queue, seen, state)
        elif not any(name.startswith(queue.name) and not name.endswith("active.json") for name in note["files"]):
            logger.info("JOBDIR=%s: its crawl is done: another one begins", self._folder)
            self._empty(queue, seen, state)
        self._write()

    def _empty(self, queue: Path, *files: Path) -> None:
        if queue.is_dir():
            shutil.rmtree(queue)
        for file in files:
            file.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return note if isinstance(note, dict) else {}

    def _write(self, **more: Any) -> None:
        self._note.write_text(json.dumps({"spider": self._spider, **more}), "utf-8")

    def _checksums(self) -> dict[str, str]:
        paths = [self._folder / "requests.seen", *sorted((self._folder / "requests.queue").rglob("*"))]
        found = {}
        for path in paths:
            if path.is_file():
                with path.open("rb") as file:
                    found[path.relative_to(self._folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
        return found


def _is_pickle(path: Path) -> bool:
    """Whether the file at *path*, if there is one, is a whole pickle; it is not loaded."""
    try:
        for _ in pickletools.genops(path.read_bytes()):
            pass
    except FileNotFoundError:
        return True
    except (ValueError, IndexError):
        return False
    return True


class JobDir:
    """Ends *crawler*'s crawl in one sentence where its JOBDIR takes no more, as its disk is full: what Scrapy's
    scheduler has written in part can be read by nobody, so each further request would fail, for ever."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._stopping: asyncio.Task[None] | None = None
        scheduler: Any = crawler.engine.scheduler
        self._filter = getattr(scheduler, "df", None)
        if crawler.settings["JOBDIR"] and getattr(scheduler, "dqs", None) is not None:
            for name, failed in (("enqueue_request", False), ("next_request", None), ("close", None)):
                setattr(scheduler, name, self._told(getattr(scheduler, name), failed))

    def _told(self, method: Callable[..., Any], failed: Any) -> Callable[..., Any]:
        def told(*arguments: Any) -> Any:
            try:
                return failed if self._stopping and failed is not None else method(*arguments)
            except OSError as error:
                self._stop(error)
                return failed

        return told

    def _stop(self, error: OSError) -> None:
        if self._stopping:
            return
        if isinstance(self._filter, DupeFilter):
            self._filter.abandon()
        sentence = (
            f"JOBDIR={self._crawler.settings['JOBDIR']}: {describe(error)}; make room: the next start "
            "begins anew, and what is stored is not asked for again"
        )
        logger.error(sentence)
        record_fatal_error(self._crawler.stats, sentence)
        self._stopping = asyncio.create_task(self._crawler.engine.close_spider_async(reason="storage"))
