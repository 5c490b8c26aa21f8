"""`scrapy crawl SPIDER --workers N`: the workers of one machine, watched, and what they did made into one.

Each worker is a `scrapy crawl` of its own. All share the Redis of REDIS_URL or, where there is none, a server that
runs as long as they do. Its data, and the workers' segments of the feed, are in `.imgcrawl/<spider>-<hash>/` beside
the feed (or in the current folder, where there is no feed); the hash stands for the spider and its arguments. The
folder is removed when the crawl has come to its end, and no page was given up; after a Ctrl-C, a kill of everything, or
`scrapy queue --requeue`, the same command goes on from there, and the feed has in the end what the first one had got,
too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text
from scrapy.settings import SETTINGS_PRIORITIES

from imgcrawl.commands.merge import exporter_for
from imgcrawl.exceptions import InputError
from imgcrawl.extensions.verdict import clock, findings, printable
from imgcrawl.feeds.merge import Segments, count_item, file_name, write_feed
from imgcrawl.frontier import inspect
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.server import EmbeddedServer
from imgcrawl.frontier.verdict import last_reason, reporters, run_stats
from imgcrawl.limits.redis import RedisLimits
from imgcrawl.shared.connection import OUTAGES, check_server
from imgcrawl.shared.connection import printable as without_password

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at what the workers say
RECENT = 10.0  # seconds that "images a second" looks back
CRASHES, WITHIN = 5, 60.0  # so many workers may crash within so many seconds
REFUSED = 2  # the exit code of bad input
LINE = 1 << 20  # bytes of a log line


class Feed(NamedTuple):
    """A file that the items of all workers go to. *keep*: it keeps what it has (`-o`)."""

    path: Path
    format: str
    keep: bool


@dataclass(frozen=True)
class Plan:
    """What was asked for: *arguments* are what each worker is given behind `scrapy crawl SPIDER`."""

    spider: str
    workers: int
    arguments: Sequence[str]
    feeds: Sequence[Feed]
    folder: Path


@dataclass
class Done:
    """What came of it: the stats of all workers, the findings (the first is the verdict), whether it was bad input."""

    stats: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    refused: bool = False


def folder_for(spider: str, arguments: dict[str, str], feeds: Sequence[Feed]) -> Path:
    """Where the crawl of *spider* with *arguments* keeps what the next start of it needs."""
    beside = feeds[0].path.absolute().parent if feeds else Path.cwd()
    mark = blake2b(json.dumps([spider, arguments], sort_keys=True).encode(), digest_size=4).hexdigest()
    return beside / ".imgcrawl" / f"{spider}-{mark}"


def plain_feeds(feeds: dict[Path, dict[str, Any]]) -> list[Feed]:
    """The feeds that can be made from segments. Raises InputError for others."""
    for path, options in feeds.items():
        for name in ("item_classes", "item_filter", "batch_item_count", "postprocessing"):
            if options.get(name):
                raise InputError(f"Feed {path}: --workers writes feeds without {name}; expected a plain one")
        if "%(" in str(path):
            raise InputError(f"Feed {path}: --workers writes one feed; expected a name without %(...)s")
        place = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not os.access(place, os.W_OK) or not (place == path.absolute() or place.is_dir()):
            raise InputError(f"Feed {path} cannot be written: {place} is not a place to write to.")
        if path.exists() and not options.get("overwrite"):
            if options["format"] not in ("json", "jsonl", "jl", "jsonlines"):
                raise InputError(f"Feed {path}: --workers cannot add to {options['format']}; -O replaces it")
            with Segments([path]):  # raises InputError for what is no feed
                pass
    return [Feed(path, str(options["format"]), not options.get("overwrite")) for path, options in feeds.items()]


class Workers:
    """Runs the workers of a *plan* to the end of the crawl. *settings* are those of its spider."""

    def __init__(self, plan: Plan, settings: BaseSettings) -> None:
        self.plan = plan
        self.settings = settings.copy()
        self.segments = plan.folder / "segments"
        self.fed = plan.folder / "fed"  # is there once the feed has all that the segments have
        self.server: EmbeddedServer | None = None
        # One command is one run: a worker that starts when the others have finished finds it done, and opens no other.
        self.run_name: str = settings.get("FRONTIER_RUN") or secrets.token_hex(8)
        self.run_id = ""  # once a worker of ours is in it
        self.processes: dict[int, asyncio.subprocess.Process] = {}
        self.pids: set[int] = set()  # of all that were ever started
        self.over = False  # the run was seen to be done
        self.lost = False  # the run is no more
        self.crashes: deque[float] = deque()
        self.signals = 0
        self.refused = False
        self.trouble = ""
        self.console: Console | None = None

    async def run(self) -> Done:
        """Raises InputError where nothing can be started."""
        async with AsyncExitStack() as stack:
            stack.enter_context(claimed(self.plan.folder))
            await stack.enter_async_context(self._redis())
            try:
                await self._connect(stack)
            except InputError:
                self._tidy_up_if_nothing_was_begun()
                raise
            self.segments.mkdir(exist_ok=True)
            loop = asyncio.get_running_loop()
            for number in _stopping_signals():
                loop.add_signal_handler(number, self.stop)
                stack.callback(loop.remove_signal_handler, number)
            with _Display(self) as display:
                watching = asyncio.create_task(self._watch(display))
                try:
                    if await self._lacks_only_its_feed():
                        self._say("the last start of this crawl did all but write the feed: it is written now")
                    else:
                        await self._work()
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
            if self.run_id or not self.refused:
                done = await self._finish(display.started)
                done.refused = self.refused
                return done
            self._tidy_up_if_nothing_was_begun()
            return Done(refused=True)

    def stop(self) -> None:
        """Have all workers leave in order; the second time, at once."""
        self.signals += 1
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if self.signals < 3 else signal.SIGKILL)

    # Redis

    @asynccontextmanager
    async def _redis(self) -> AsyncIterator[None]:
        url = self.settings.get("REDIS_URL") or os.environ.get("REDIS_URL")
        if not url:
            self.server = EmbeddedServer(self.plan.folder / "redis")
            await asyncio.to_thread(self.server.start)
            url = self.server.url
            self._say(f"no REDIS_URL: the workers share {self.server.program}, which runs as long as they do")
        self.settings.set("REDIS_URL", url, "cmdline")
        try:
            yield
        finally:
            if self.server:
                await asyncio.to_thread(self.server.stop)

    async def _connect(self, stack: AsyncExitStack) -> None:
        self.store: Queue = queue_from_settings(self.settings, self.plan.spider)
        stack.push_async_callback(self.store.client.aclose)
        try:
            await check_server(self.store, self.settings["REDIS_URL"])
        except OUTAGES as error:
            url = without_password(self.settings["REDIS_URL"])
            raise InputError(f"REDIS_URL {url}: cannot be reached ({error})") from None

    async def _lacks_only_its_feed(self) -> bool:
        with suppress(*OUTAGES):
            counts = await inspect.counts(self.store)
            if counts["state"] == "done" and self._segments_of(counts["id"]) and not self.fed.exists():
                self.run_id = counts["id"]
        return bool(self.run_id)

    def _segments_of(self, run: str) -> set[Path]:
        return set(self.segments.glob(f"{file_name(run)},*.jsonl"))

    # Workers

    async def _work(self) -> None:
        # What is wrong with the input is wrong for all: the first one finds it.
        first = asyncio.create_task(self._keep_working(1))
        while not first.done() and not await self._has_begun():
            await asyncio.wait([first], timeout=0.1)
        await self._has_begun()  # the first may have been faster than that
        tasks = [first]
        if not first.done() and not self.signals:
            tasks += [asyncio.create_task(self._keep_working(number)) for number in range(2, self.plan.workers + 1)]
        await asyncio.gather(*tasks)

    async def _has_begun(self) -> bool:
        if self.run_id:
            return True
        with suppress(*OUTAGES):
            counts = await inspect.counts(self.store)
            if any(
                self._is_of(pid, worker) for worker in await reporters(self.store, counts["id"]) for pid in self.pids
            ):
                await self._adopt(counts["id"])
        return bool(self.run_id)

    async def _adopt(self, run: str) -> None:
        """Take *run* for that of this command. One that was begun before, or by others, keeps its name."""
        key = f"{self.store.prefix}run"
        if name := await self.store.client.hget(key, "name"):
            self.run_name = name.decode("utf-8", "replace")
        else:
            await self.store.client.hset(key, "name", self.run_name)
        self.run_id = run
        if self.fed.exists():  # what is of another run was kept to go on with that
            for path in set(self.segments.glob("*.jsonl")) - self._segments_of(run):
                path.unlink()
            self.fed.unlink()

    @staticmethod
    def _is_of(pid: int, worker: str) -> bool:
        return worker.startswith(f"{socket.gethostname()}-{pid}-")

    async def _keep_working(self, number: int) -> None:
        """One worker after another, until one leaves by itself."""
        while not self.signals and not self.lost:
            process = await self._start(number)
            if self.signals:  # while it was being started
                process.send_signal(signal.SIGINT)
            await self._relay(process, number)
            code = await process.wait()
            del self.processes[number]
            if not await self._crashed(process.pid, code, number):
                return

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "scrapy", "crawl", self.plan.spider, *self.plan.arguments]
        command += ["-o", f"{self.segments}/%(run)s,%(worker)s.jsonl:jsonl"]
        for name, value in {
            "FEEDS": "{}",
            "FEED_URI_PARAMS": "imgcrawl.feeds.merge.uri_params",
            "FRONTIER_PARENT": os.getpid(),
            "FRONTIER_RUN": self.run_name,
            "PROGRESS_ENABLED": 0,
            "PROGRESS_INTERVAL": 0,
        }.items():
            command += ["-s", f"{name}={value}"]
        if self.console and not _is_chosen(self.settings, "LOG_LEVEL"):
            command += ["-s", "LOG_LEVEL=WARNING"]  # the display needs the room
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "REDIS_URL": self.settings["REDIS_URL"]},
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE,
            start_new_session=True,  # Ctrl-C is for us, who tell them
        )
        self.processes[number] = process
        self.pids.add(process.pid)
        return process

    async def _relay(self, process: asyncio.subprocess.Process, number: int) -> None:
        assert process.stderr  # noqa: S101 -- asked for above
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # longer than LINE
                continue
            if not line:
                return
            self._say(line.decode("utf-8", "replace").rstrip("\n"), number)

    async def _crashed(self, pid: int, code: int, number: int) -> bool:
        """Whether the worker that ended with *code* is to be followed by another."""
        if self.signals:
            return False
        if code == REFUSED:
            self.refused = True
            self.stop()
            return False
        with suppress(*OUTAGES):
            counts = await inspect.counts(self.store)
            closed = await reporters(self.store, self.run_id or counts["id"])
            self._look_for_loss(counts)
            left = self.lost or any(closed[worker] for worker in closed if self._is_of(pid, worker))
            if left or (counts["id"] == self.run_id and counts["state"] == "done"):
                return False
            for worker in closed:
                if self._is_of(pid, worker):
                    await self.store.expire_worker(worker)
                    await RedisLimits(self.store, self.settings["REDIS_URL"]).expire_worker(worker)
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        now = time.monotonic()
        self.crashes.append(now)
        while now - self.crashes[0] > WITHIN:
            self.crashes.popleft()
        if len(self.crashes) > CRASHES:
            self.trouble = f"{len(self.crashes)} workers crashed within a minute, the last with {why}"
            self.stop()
            return False
        logger.warning("Worker %d crashed (%s): another takes its place", number, why)
        return True

    def _look_for_loss(self, counts: dict[str, Any]) -> None:
        if not self.run_id or self.over or self.lost:
            return
        if counts["id"] == self.run_id:
            self.over = counts["state"] == "done"
            return
        # Whoever is started now begins from zero, which is nobody's wish: it was the user who cleared the queue.
        self.lost = True
        self.trouble = (
            f"the queue of {self.plan.spider} was cleared, or lost, while its workers ran: start the crawl again"
        )
        self.stop()

    # Telling

    def _say(self, line: str, number: int | None = None) -> None:
        text = f"[{number}] {line}" if number and len(self.processes) > 1 else line
        with suppress(OSError):  # a terminal that was closed
            if self.console:
                self.console.print(Text(printable(text)), soft_wrap=True)
            else:
                sys.stderr.write(text + "\n")

    async def _watch(self, display: _Display) -> None:
        while True:
            if self.server and not self.server.is_alive():
                logger.error("%s has ended; starting it again", self.server.program)
                try:
                    await asyncio.to_thread(self.server.start)
                except InputError as error:
                    self.trouble = str(error)
                    self.stop()
            with suppress(*OUTAGES):
                async with asyncio.timeout(5):
                    counts = await inspect.counts(self.store)
                    stats = await run_stats(self.store, counts["id"])
                display.show(counts, stats)
                self._look_for_loss(counts)
            await asyncio.sleep(LOOK)

    # The end

    async def _finish(self, started: float) -> Done:
        try:
            counts = await inspect.counts(self.store)
            sums = await run_stats(self.store, self.run_id or counts["id"])
        except OUTAGES as error:
            counts, sums = {"id": "", "state": "", "dead": 0}, {}
            self.trouble = self.trouble or f"Redis is gone ({error}), and with it what the workers have counted"
        # Another run may have begun by now, on another machine.
        over = counts["state"] == "done" if counts["id"] == self.run_id else self.over
        counted: Counter[str] = Counter()
        await asyncio.to_thread(self._merge, counted)
        self.fed.touch()
        # What workers that crashed had counted is done again and counted again; the merged feed has it once.
        again = {name: value for name, value in sums.items() if not name.startswith(_IN_FEED) or name in _NOT_IN_FEED}
        stats = {**again, **counted, "elapsed_time_seconds": time.monotonic() - started}
        if self.trouble:
            stats["verdict/error"] = self.trouble
        reason = "shutdown" if self.signals and not over else last_reason(sums)
        found = list(
            findings(
                stats,
                "finished" if self.lost else reason,  # the trouble says it all
                max_failed=self.settings.getfloat("VERDICT_MAX_FAILED", 0.2),
                images_expected=self.settings.getbool("VERDICT_IMAGES_EXPECTED", True),
            )
        )
        if over and counts["dead"]:
            found.append(self._how_to_go_on())
        elif self.lost or (over and not self.trouble):
            self._tidy_up()
        return Done(stats, found)

    def _how_to_go_on(self) -> str:
        queue = f"scrapy queue {self.plan.spider} --requeue"
        if self.server:
            queue += f" --in {shlex.quote(str(self.plan.folder))}"
        return f"{queue} puts the pages back that were set aside; the same command then goes on with them"

    def _merge(self, counted: Counter[str]) -> None:
        # Those of a run that is no more, too, where a kill came before the feed.
        paths = sorted(self.segments.glob("*.jsonl"), key=lambda path: (path.stat().st_ctime_ns, path.name))
        with Segments(paths) as segments:
            for line in segments:
                count_item(counted, json.loads(line))
            for sentence in segments.report.broken:
                logger.error(sentence)
            for feed in self.plan.feeds:
                exporter, options = exporter_for(self.settings, feed.format)
                if feed.keep and feed.path.exists():
                    with Segments([feed.path, *paths]) as all_of_it:
                        write_feed(all_of_it, feed.path, feed.format, exporter, **options)
                else:
                    write_feed(segments, feed.path, feed.format, exporter, **options)

    def _tidy_up_if_nothing_was_begun(self) -> None:
        if not any(self.segments.glob("*")):
            self._tidy_up()

    def _tidy_up(self) -> None:
        shutil.rmtree(self.segments, ignore_errors=True)
        self.fed.unlink(missing_ok=True)
        if self.server:
            self.server.forget()
        with suppress(OSError):  # another crawl's is beside it
            (self.plan.folder / "lock").unlink(missing_ok=True)
            self.plan.folder.rmdir()
            self.plan.folder.parent.rmdir()


_IN_FEED = ("image/", "gallery/")
_NOT_IN_FEED = ("image/bytes",)


class _Display:
    """One picture of all workers in a terminal, or a log line each PROGRESS_INTERVAL seconds."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.started = time.monotonic()
        self.logged = self.started
        self.interval = workers.settings.getfloat("PROGRESS_INTERVAL")
        self.samples: deque[tuple[float, int]] = deque()
        self.live: Live | None = None
        console = Console(stderr=True, highlight=False)
        if workers.settings.getbool("PROGRESS_ENABLED") and sys.stderr.isatty() and console.is_interactive:
            workers.console = console
            self.live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> _Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            with suppress(OSError):  # a terminal that was closed
                self.live.stop()
        self.workers.console = None

    def show(self, counts: dict[str, Any], stats: dict[str, Any]) -> None:
        lines = self._lines(counts, stats)
        if self.live:
            with suppress(OSError):
                self.live.update(self._picture(lines), refresh=True)
        elif self.interval and time.monotonic() - self.logged >= self.interval:
            self.logged = time.monotonic()
            logger.info("%s", ", ".join(lines))

    def _lines(self, counts: dict[str, Any], stats: dict[str, Any]) -> list[str]:
        def count(name: str) -> int:
            return int(stats.get(name, 0))

        number = len(self.workers.processes)
        now = time.monotonic()
        images = sum(count(f"image/{status}") for status in ("downloaded", "uptodate", "duplicate"))
        self.samples.append((now, images))
        while len(self.samples) > 2 and now - self.samples[0][0] > RECENT:
            self.samples.popleft()
        (then, before), *_ = self.samples
        speed = (images - before) / (now - then) if now > then else 0.0
        failed = sum(count(f"{what}/failed") for what in ("image", "gallery", "list"))
        return [
            f"{number} worker{'' if number == 1 else 's'}, {count('gallery/count'):,} galleries, {images:,} images, "
            f"{count('image/bytes') / 1e6:,.1f} MB",
            f"{speed:,.1f} images/s, {failed:,} failed, {count('image/refused'):,} refused",
            f"{counts['queued']:,} pages queued, {counts['leased']:,} under way",
        ]

    def _picture(self, lines: list[str]) -> RenderableType:
        head = Text.assemble(
            (self.workers.plan.spider, "bold"), f" {clock(time.monotonic() - self.started)}  {lines[0]}"
        )
        shown = [head, *(Text(f"  {line}") for line in lines[1:])]
        if self.workers.signals:
            shown.append(Text("  stopping when what is under way is done; Ctrl-C again stops at once"))
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*shown)


def _stopping_signals() -> Iterator[signal.Signals]:
    yield from (signal.SIGINT, signal.SIGTERM)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        yield signal.SIGHUP


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds the lock of a crawl's folder. Raises InputError if another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    with file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"This crawl runs already, in another process that has {folder}: wait for its end, or stop it."
                ) from None
        yield


def _is_chosen(settings: BaseSettings, name: str) -> bool:
    return (settings.getpriority(name) or 0) > SETTINGS_PRIORITIES["project"]
