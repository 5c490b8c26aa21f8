"""What is told, and started, at the end of a run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from imgcrawl.exitcodes import ExitCode
from imgcrawl.extensions.runsummary import exit_code_of, findings_of, run_summary
from imgcrawl.feeds.storage import without_password
from imgcrawl.hooks.arguments import END, Arguments
from imgcrawl.hooks.commands import CommandRunner
from imgcrawl.hooks.gallerycommands import absolute_store
from imgcrawl.hooks.notify import Notifier, check_notify
from imgcrawl.hooks.summaryfile import summary_path, write_summary
from imgcrawl.hooks.trouble import INTERVAL, Troubles
from imgcrawl.samples import Samples

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)


class Announcer:
    """Tells others about a run of *spider*: RUN_SUMMARY, COMMAND_AT_END, NOTIFY_URLS and NOTIFY_ON of *settings*.

    Its methods block: they are for threads, and for where no event loop runs. Raises `InputError`.
    """

    def __init__(self, settings: BaseSettings, spider: str) -> None:
        self.settings = settings
        self.spider = spider
        self.path = summary_path(settings, spider)
        self.command = Arguments(settings.get("COMMAND_AT_END", []), END, setting="COMMAND_AT_END")
        self.notifier = Notifier(settings) if settings.get("NOTIFY_URLS", []) else None
        self.events = settings.getlist("NOTIFY_ON", ["trouble"])
        self.troubles = Troubles(settings.getfloat("VERDICT_MAX_FAILED", 0.2))
        self._writing = threading.Lock()
        self._has_ended = False
        self._looked = -INTERVAL
        if self.notifier:
            check_notify(settings)

    def start(self) -> None:
        """Check what takes time to be checked. Raises `InputError`."""
        if self.notifier:
            self.notifier.check()

    def look(self, stats: Mapping[str, Any]) -> None:
        """Tell how the run is, which goes on, by its *stats*."""
        if self.path:
            self._write(run_summary(self.spider, stats, (), has_ended=False))
        if self.notifier and "trouble" in self.events:
            for sentence in self.troubles.look(stats):
                self.notifier.send(f"{self.spider}: {sentence}", "The crawl goes on.", "warning")

    async def look_now_and_then(self, stats: Mapping[str, Any]) -> None:
        """`look`, in a thread, if the last time was `INTERVAL` seconds ago."""
        if monotonic() - self._looked >= INTERVAL:
            self._looked = monotonic()
            await asyncio.to_thread(self.look, dict(stats))

    def end(
        self, stats: Mapping[str, Any], findings: Sequence[str], samples: Samples, *, speaks_for_all: bool = True
    ) -> dict[str, Any]:
        """Tell how the run ended; what is not for one of several workers, if this one *speaks_for_all*. The stats that
        have changed by that: a command that failed is a finding more."""
        changed: dict[str, Any] = {}
        told = run_summary(self.spider, stats, findings, samples)
        self._write(told)
        if not speaks_for_all:
            return changed
        if self.command:
            reason = self._run(told)
            changed = _counted(stats, reason)
            if reason:
                findings = [*findings, f"COMMAND_AT_END failed ({reason})"]
                changed |= {"verdict": findings[0], "verdict/findings": [*findings]}
            told = run_summary(self.spider, {**stats, **changed}, findings, samples)
            self._write(told)
        code = exit_code_of(findings)
        if self.notifier and ("end" in self.events or ("trouble" in self.events and code is ExitCode.FAILED)):
            self._notify(self.notifier, told, code)
        return changed

    def end_at_once(self, stats: Mapping[str, Any], samples: Samples) -> None:
        """Tell that the run was ended at once: nothing is started any more."""
        self._write(run_summary(self.spider, stats, findings_of(stats), samples))

    def _write(self, told: Mapping[str, Any]) -> None:
        if not self.path:
            return
        with self._writing:
            if self._has_ended and told["state"] == "running":  # it comes too late
                return
            self._has_ended = told["state"] == "ended"
            if sentence := write_summary(self.path, told):
                logger.warning("%s", sentence)

    def _run(self, told: Mapping[str, Any]) -> str:
        store = absolute_store(self.settings.get("IMAGES_STORE") or "")
        facts = {
            "spider": self.spider,
            "verdict": str(told["verdict"]),
            "exit_code": str(told["exit_code"]),
            "summary": str(self.path or ""),
            "store": store,
        }
        feeds = [without_password(str(uri)) for uri in self.settings.getdict("FEEDS")]
        given = {"event": "end", "spider": self.spider, "store": store, "feeds": feeds, "summary": told}
        stopped = told["how"] == "shutdown"
        runner = CommandRunner(self.settings, lambda: stopped)
        try:
            return runner.run(self.command, facts, given)
        finally:
            runner.close()

    def _notify(self, notifier: Notifier, told: Mapping[str, Any], code: ExitCode) -> None:
        from imgcrawl.extensions.summary import summary_text  # noqa: PLC0415 -- needs rich

        verdict = told["verdict"] or "all as it should be"
        kind = {ExitCode.DONE: "success", ExitCode.FAILED: "failure"}.get(code, "warning")
        body = "\n".join([*told["findings"], "", *(line.rstrip() for line in summary_text(told).splitlines())])
        notifier.send(f"{self.spider}: {verdict}", body.strip(), kind)


def _counted(stats: Mapping[str, Any], reason: str) -> dict[str, Any]:
    names = ["command/run", *(["command/failed", f"command/failed/{reason}"] if reason else [])]
    return {name: stats.get(name, 0) + 1 for name in names}
