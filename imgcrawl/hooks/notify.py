"""Notifications by mail, chat or webhook (apprise): at the end of a crawl, or when it is in trouble."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcrawl.children import import_path
from imgcrawl.exceptions import InputError
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

EVENTS = ("trouble", "end")  # of NOTIFY_ON
_SECONDS = 20.0  # that sending may take, to all addresses together
_LONGEST = 8_000  # characters of a message


def split_urls(urls: Any) -> list[str]:
    """The addresses in *urls*, a list, or a text in which they stand behind each other."""
    given = urls if isinstance(urls, list | tuple | set) else re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", str(urls))
    return [str(url).strip() for url in given if str(url).strip()]


def check_notify(settings: BaseSettings) -> None:
    """Raise `InputError` for what NOTIFY_ON and NOTIFY_URLS cannot be; nothing is asked of the addresses."""
    events = settings.getlist("NOTIFY_ON", ["trouble"])
    if unknown := [event for event in events if event not in EVENTS]:
        raise InputError(f"NOTIFY_ON: {unknown[0]!r:.60} is not known; expected some of {', '.join(EVENTS)}")
    for number, url in enumerate(split_urls(settings.get("NOTIFY_URLS", [])), 1):
        if not re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE):
            raise InputError(f"NOTIFY_URLS, number {number}: expected an address of apprise, as in mailto://…")


class Notifier:
    """Sends to the addresses of NOTIFY_URLS. Blocks while it does; for threads, and for where no event loop runs."""

    def __init__(self, settings: BaseSettings) -> None:
        self._urls = split_urls(settings.get("NOTIFY_URLS", []))

    def check(self) -> None:
        """Raise `InputError` for an address that the library cannot read. Nothing is sent."""
        answer = self._ask({"urls": self._urls})
        for number in answer.get("invalid", ()):
            raise InputError(
                f"NOTIFY_URLS, number {number + 1} ({_scheme(self._urls[number])}://…) cannot be read; expected an"
                " address of apprise, as in json://example.org"
            )

    def send(self, title: str, body: str, kind: str = "info") -> None:
        """Send a message; *kind*: info, success, warning or failure. What cannot be sent is logged."""
        title, body = printable(title), "\n".join(map(printable, body.split("\n")))[:_LONGEST]
        answer = self._ask({"urls": self._urls, "title": title, "body": body, "type": kind})
        for number in (*answer.get("invalid", ()), *answer.get("failed", ())):
            scheme = _scheme(self._urls[number])
            logger.warning("A notification could not be sent by NOTIFY_URLS, number %d (%s://…)", number + 1, scheme)
        if not answer:
            logger.warning("Notifications could not be sent: what sends them did not end as it should")

    @staticmethod
    def _ask(order: dict[str, Any]) -> dict[str, list[int]]:
        program = str(Path(__file__).with_name("sending.py"))
        try:
            done = subprocess.run(  # noqa: S603 -- our own program
                [sys.executable, "-P", program],
                env={**os.environ, **import_path()},
                input=json.dumps({**order, "urls": [str(url) for url in order["urls"]]}).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # where addresses may stand
                timeout=_SECONDS,
                check=True,
            )
            answer: dict[str, list[int]] = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return {}
        return answer


def _scheme(url: str) -> str:
    return printable(url.partition("://")[0])[:20]
