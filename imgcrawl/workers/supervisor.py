"""Runs the workers of a crawl, watches them, and replaces those that crash."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from imgcrawl.cancelling import cancel_all
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.frontier import inspect
from imgcrawl.frontier.queues import Queues, queues_from_settings
from imgcrawl.frontier.server import EmbeddedServer
from imgcrawl.frontier.verdict import reporters, run_stats
from imgcrawl.limits.redis import RedisLimits
from imgcrawl.shared.address import redis_url
from imgcrawl.shared.connection import OUTAGES, check_server, unreachable
from imgcrawl.workers.outcome import Outcome, end_reason, judge, stats_of_all, write_feeds
from imgcrawl.workers.plan import Plan, claimed, worker_command
from imgcrawl.workers.process import MAX_CRASHES, Crashes, belongs_to, log_lines, stopping_signals
from imgcrawl.workers.terminal import Terminal, is_chosen
from imgcrawl.workers.watch import Watch

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.hooks.announcer import Announcer
    from imgcrawl.workers.process import StartWorker, WorkerProcess

logger = logging.getLogger(__name__)

POLL_INTERVAL = 0.5  # seconds between two looks at what the workers say


class Workers:
    """Runs the workers of a *plan*, which *start* starts, to the end of the crawl. *settings* are those of its spider;
    the *announcer* is told how the run is."""

    def __init__(self, plan: Plan, settings: BaseSettings, announcer: Announcer | None, start: StartWorker) -> None:
        self.plan = plan
        self.start_worker = start
        self.announcer = announcer
        self.settings = settings.copy()
        self.server: EmbeddedServer | None = None
        # One command is one run: a worker that starts when the others have finished finds it done, and opens no other.
        self.run_name: str = settings.get("FRONTIER_RUN") or secrets.token_hex(8)
        self.run_id = ""  # once a worker of ours is in it
        self.processes: dict[int, WorkerProcess] = {}
        self.pids: set[int] = set()  # of all that were ever started
        self.over = False  # the run was seen to be done
        self.lost = False  # the run is no more
        self.crashes = Crashes()
        self.signals = 0
        self.refused = False
        self.trouble = ""
        self.terminal = Terminal(plan.spider, settings)

    async def run(self) -> Outcome:
        """Raises InputError where nothing can be started."""
        async with AsyncExitStack() as stack:
            stack.enter_context(claimed(self.plan.folder.path))
            await stack.enter_async_context(self._redis())
            try:
                await self._connect(stack)
            except InputError:
                if self.plan.folder.is_unused:
                    self._tidy_up()
                raise
            self.plan.folder.segments.mkdir(exist_ok=True)
            self.segments_before = frozenset(self.plan.folder.all_segments())
            loop = asyncio.get_running_loop()
            for number in stopping_signals():
                loop.add_signal_handler(number, self.stop)
                stack.callback(signal.signal, number, signal.SIG_IGN)  # what is left is to tell what was done
                stack.callback(loop.remove_signal_handler, number)
            with self.terminal:
                watching = asyncio.create_task(self._watch())
                try:
                    if await self._lacks_only_its_feed():
                        self.terminal.say("the last start of this crawl did all but write the feed: it is written now")
                    else:
                        await self._work()
                finally:
                    await cancel_all(watching)
            if self.run_id or not self.refused:
                done = await self._finish(self.terminal.speed.seconds)
                done.refused = self.refused and not self.trouble
                return done
            if self.plan.folder.is_unused:
                self._tidy_up()
            return Outcome(refused=True)

    def stop(self) -> None:
        """Have all workers leave in order; the second time, at once."""
        self.signals += 1
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                if self.signals < 3:
                    process.send_signal(signal.SIGINT)
                else:
                    process.kill()

    # Redis

    @asynccontextmanager
    async def _redis(self) -> AsyncIterator[None]:
        url = redis_url(self.settings)
        if not url:
            self.server = EmbeddedServer(self.plan.folder.redis)
            await asyncio.to_thread(self.server.start)
            url = self.server.url
            self.terminal.say(f"no REDIS_URL: the workers share {self.server.program}, which runs as long as they do")
        self.settings.set("REDIS_URL", url, "cmdline")
        try:
            yield
        finally:
            if self.server:
                await asyncio.to_thread(self.server.stop)

    async def _connect(self, stack: AsyncExitStack) -> None:
        self.store: Queues = queues_from_settings(self.settings, self.plan.spider)
        stack.push_async_callback(self.store.client.aclose)
        try:
            await check_server(self.store, self.settings["REDIS_URL"])
            own = self.server.url if self.server else ""
            self.watch = Watch(self.settings, self.plan.spider, self.store, self.terminal, own, self.announcer)
            stack.callback(self.watch.leader.leave)
            await self.watch.begin()
        except OUTAGES as error:
            raise unreachable(self.settings["REDIS_URL"], str(error)) from None

    async def _lacks_only_its_feed(self) -> bool:
        folder = self.plan.folder
        with suppress(*OUTAGES):
            counts = await inspect.counts(self.store)
            if counts["state"] == "done" and folder.segments_of(counts["id"]) and not folder.fed.exists():
                self.run_id = counts["id"]
        return bool(self.run_id)

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
            workers = await reporters(self.store.home, counts["id"])
            if any(belongs_to(pid, worker) for worker in workers for pid in self.pids):
                await self._adopt(counts["id"])
        return bool(self.run_id)

    async def _adopt(self, run: str) -> None:
        """Take *run* for that of this command. One that was begun before, or by others, keeps its name."""
        key = f"{self.store.home.prefix}run"
        if name := await self.store.client.hget(key, "name"):
            self.run_name = name.decode("utf-8", "replace")
        else:
            await self.store.client.hset(key, "name", self.run_name)
        self.run_id = run
        self.plan.folder.go_on_with(run)

    async def _keep_working(self, number: int) -> None:
        """One worker after another, until one leaves by itself."""
        while not self.signals and not self.lost:
            process = await self._start(number)
            if self.signals:  # while it was being started
                process.send_signal(signal.SIGINT)
            async for line in log_lines(process):
                self.terminal.say(line, number if len(self.processes) > 1 else None)
            code = await process.wait()
            del self.processes[number]
            if not await self._crashed(process.pid, code, number):
                return

    async def _start(self, number: int) -> WorkerProcess:
        command = worker_command(self.plan, self.run_name)
        if self.terminal.is_live and not is_chosen(self.settings, "LOG_LEVEL"):
            command += ["-s", "LOG_LEVEL=WARNING"]  # the display needs the room
        process = await self.start_worker(command, self.settings["REDIS_URL"])
        self.processes[number] = process
        self.pids.add(process.pid)
        return process

    async def _crashed(self, pid: int, code: int, number: int) -> bool:
        """Whether the worker that ended with *code* is to be followed by another."""
        if self.signals:
            return False
        if code == ExitCode.REFUSED:
            self.refused = True
            self.stop()
            return False
        with suppress(*OUTAGES):
            counts = await inspect.counts(self.store)
            closed = await reporters(self.store.home, self.run_id or counts["id"])
            self._look_for_loss(counts)
            left = self.lost or any(closed[worker] for worker in closed if belongs_to(pid, worker))
            if left or (counts["id"] == self.run_id and counts["state"] == "done"):
                return False
            for worker in await inspect.names(self.store):
                if belongs_to(pid, worker):
                    await self.store.expire_worker(worker)
                    for queue in self.store:
                        await RedisLimits(queue, self.settings["REDIS_URL"]).expire_worker(worker)
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if (crashes := self.crashes.add()) > MAX_CRASHES:
            self.trouble = f"{crashes} workers crashed within a minute, the last with {why}"
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

    async def _watch(self) -> None:
        while True:
            try:
                if self.server and not self.server.is_alive():
                    logger.error("%s has ended; starting it again", self.server.program)
                    await asyncio.to_thread(self.server.start)
                with suppress(*OUTAGES):
                    counts, is_asked = await self.watch.look(len(self.processes), stopping=bool(self.signals))
                    self._look_for_loss(counts)
                    if is_asked and not self.signals:
                        self.stop()
            except InputError as error:  # the server does not start, or somebody else has written into a key of ours
                self.trouble = self.trouble or str(error)
                if not self.signals:
                    self.stop()
            await asyncio.sleep(POLL_INTERVAL)

    # The end

    async def _finish(self, seconds: float) -> Outcome:
        try:
            counts = await inspect.counts(self.store)
            sums = await run_stats(self.store, self.run_id or counts["id"])
            await self.watch.remember()
        except (*OUTAGES, InputError) as error:
            counts, sums = dict.fromkeys(("dead", "queued", "leased"), 0) | {"id": None, "state": ""}, {}
            gone = f"Redis is gone ({error}), and with it what the workers have counted"
            self.trouble = self.trouble or (str(error) if isinstance(error, InputError) else gone)
        # Another run may have begun by now, on another machine.
        over = counts["state"] == "done" if counts["id"] == self.run_id else self.over
        done = Outcome()
        counted = await write_feeds(self.plan.folder, self.segments_before, self.plan.feeds, done.samples, sums)
        left = 0 if over else counts["queued"] + counts["leased"]
        reason = end_reason(sums, is_over=over, was_told=bool(self.signals))
        stats = stats_of_all(sums, counted) | {"elapsed_time_seconds": seconds, "frontier/left": left}
        stats["finish_reason"] = reason
        if counts["id"] == self.run_id:
            stats["gallery/found"] = counts["galleries"]
        if self.trouble:
            stats["verdict/error"] = self.trouble
        found = judge(stats, "finished" if self.lost else reason, self.settings)  # of what is lost the trouble says all
        if over and counts["dead"]:
            found.append(self._how_to_go_on())
        elif self.lost or (over and not self.trouble):
            self._tidy_up()
        self.watch.leader.close(stats, reason, found[0] if found else "")
        done.stats, done.findings = stats, found
        return done

    def _how_to_go_on(self) -> str:
        queue = f"scrapy queue {self.plan.spider} --requeue"
        if self.server:
            queue += f" --in {shlex.quote(str(self.plan.folder.path))}"
        return f"{queue} puts the pages back that were set aside; the same command then goes on with them"

    def _tidy_up(self) -> None:
        if self.server:
            self.server.forget()
        self.plan.folder.remove()
