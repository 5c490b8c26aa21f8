"""What a host's robots.txt allows, by RFC 9309."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Self
from urllib.parse import urlsplit

from cachetools import LRUCache
from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from imgcrawl.downloader import downloader_of
from imgcrawl.downloadermiddlewares.addressguard import named_by
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import reason_of
from imgcrawl.stopping import cut_short

logger = logging.getLogger(__name__)

_READ = 500 * 1024  # RFC 9309, 2.5: what a crawler must at least be able to parse
_REDIRECTS = 5  # 2.3.1.2
_MAX_BODY = 10 * 1024 * 1024  # announced, or after decompression
_REMEMBERED = 16 * 1024 * 1024  # bytes: rules of some 20,000 hosts
# Protego takes up to 27 bytes for a byte of hostile rules, and a third of a second to parse the longest file.
_PARSED = 2 * 1024 * 1024
_PARSED_IN_LOOP = 16 * 1024
_STARS = 2_000  # in rules: each with one is tried by itself, 9,000 of twenty take 40 ms for an address
# No answer at all: then that is the reason, because a page of that host cannot be had either.
_NO_ANSWER = ("dns", "tls", "connection", "timeout", "private_address", "retry_after")
_LONGEST_ORIGIN = 300  # characters: of a key
_CLAIM = 60.0  # seconds until others ask if the worker that wanted to is silent
_ASKED_BY_OTHERS = 0.1  # seconds between two looks for what another worker finds out

_TOKEN = re.compile(r"[a-z_-]*")  # of a product, RFC 9309, 2.2.1; whatever follows it does not count
_AGENT = re.compile(r"user[-\s]?agent(?:\s*:|\s)\s*(.*)", re.IGNORECASE)
_RULE = re.compile(r"dis+al+[ao]w|diasllow|allow|(crawl|request|visit)[-\s](delay|rate|time)", re.IGNORECASE)


@dataclass(frozen=True)
class RobotsAnswer:
    """What a host's robots.txt said to us. JSON-able.

    *rules* is the lines for our user agent. With a *reason* (see `imgcrawl.items.REASONS`) nothing may be
    asked for, and *detail* says why. *until* is the time (Unix) from which the host is asked again.
    """

    until: float
    rules: str = ""
    reason: str = ""
    detail: str = ""


def _from_note(note: dict[str, Any] | None, latest: float) -> RobotsAnswer | None:
    """The verdict that another worker told, if it is one and still counts. In Redis anybody may have written it."""
    if note is None:
        return None
    until, texts = note.get("until"), [note.get(name, "") for name in ("rules", "reason", "detail")]
    if not isinstance(until, int | float) or not time.time() < until <= latest + _CLAIM:
        return None
    if not all(isinstance(text, str) and len(text) <= _READ for text in texts):
        return None
    rules, reason, detail = texts
    return RobotsAnswer(float(until), rules, reason if reason in (*_NO_ANSWER, "robots", "") else "robots", detail)


class RobotsTxtMiddleware:
    """Refuses, with `RequestRefused`, what robots.txt forbids.

    One request for each scheme, host and port; requests that come meanwhile wait for its answer:

    - 2xx: the rules for our product token, or else for ``*``, hold; 500 KiB are read.
    - 3xx: five redirects are followed, to any host; more, or one that leads nowhere, allow everything.
    - 4xx: everything is allowed. Not so 429: it says "too many requests", and more of them are no answer.
    - 429, 5xx or another unusable answer after the usual retries: nothing is allowed (reason ``no_robots``). No
      answer: nothing either, with the reason why there was none (``dns``, ``timeout`` …). Rules that were
      had before stay in force then.

    Settings: ``ROBOTSTXT_OBEY``, ``ROBOTSTXT_USER_AGENT`` (the product token; USER_AGENT up to its slash
    without it), and ours, in seconds: ``ROBOTSTXT_TTL`` (86400, also the longest that the RFC allows) and
    ``ROBOTSTXT_RETRY`` (60: when to ask again after a failure), ``ROBOTSTXT_WAIT`` (150: how long a request waits for
    a robots.txt that could not be had, before it is refused) and ``ROBOTSTXT_MAX_DELAY`` (60: no Crawl-delay is
    longer). Request meta: ``dont_obey_robotstxt``.

    Crawl-delay is kept between any two requests to the host. With limits that are shared (`imgcrawl.limits`) one
    worker asks for all, and all hear its verdict.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("ROBOTSTXT_OBEY"):
            raise NotConfigured
        self.crawler = crawler
        self._agent: str = settings["ROBOTSTXT_USER_AGENT"] or settings["USER_AGENT"].partition("/")[0]
        self._ttl = min(settings.getfloat("ROBOTSTXT_TTL", 86400.0), 86400.0)
        self._retry = settings.getfloat("ROBOTSTXT_RETRY", 60.0)
        self._wait = settings.getfloat("ROBOTSTXT_WAIT", 150.0)
        self._max_delay = settings.getfloat("ROBOTSTXT_MAX_DELAY", 60.0)
        self._answers: LRUCache[str, RobotsAnswer] = LRUCache(_REMEMBERED, getsizeof=_size)
        self._parsed: LRUCache[str, tuple[Protego, int]] = LRUCache(_PARSED, getsizeof=itemgetter(1))
        self._last_rules = "", Protego.parse("")
        self._asking: dict[str, asyncio.Task[RobotsAnswer]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if request.meta.get("dont_obey_robotstxt") or parts.scheme not in ("http", "https"):
            return
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        verdict = await self.verdict(origin, request)
        patience = time.time() + self._wait
        while self._wait and verdict.reason == "robots" and verdict.until < patience:
            if not await downloader_of(self.crawler).wait(verdict.until - time.time()):
                cut_short(request)
                break
            verdict = await self.verdict(origin, request)
        if verdict.reason:
            self._count_refusal(request)
            # What is down for a while forbids nothing for ever: a failure, which is tried again.
            raise RequestRefused("no_robots" if verdict.reason == "robots" else verdict.reason, verdict.detail)
        if not verdict.rules:
            return
        rules = await self._rules(verdict.rules)
        ask = partial(rules.can_fetch, request.url, "*")
        is_long = len(verdict.rules) > _PARSED_IN_LOOP and verdict.rules.count("*") > _STARS
        if not (await asyncio.to_thread(ask) if is_long else ask()):
            self._count_refusal(request)
            raise RequestRefused("robots", f"{origin}/robots.txt forbids {request.url}")
        if delay := rules.crawl_delay("*"):
            await downloader_of(self.crawler).keep_delay(request, min(float(delay), self._max_delay))

    def _count_refusal(self, request: Request) -> None:
        self.crawler.stats.inc_value("robotstxt/forbidden")
        if not request.meta.get("media"):
            self.crawler.stats.inc_value("page/refused/robots")

    async def verdict(self, origin: str, request: Request) -> RobotsAnswer:
        """The verdict for *origin* (scheme://host[:port]), asked for on behalf of *request* if it is not known."""
        known = self._answers.get(origin)
        if known and time.time() < known.until:
            return known
        if origin not in self._asking:
            task = asyncio.ensure_future(self._find_out(origin, request, known))
            self._asking[origin] = task
            task.add_done_callback(lambda _: self._asking.pop(origin))
        with downloader_of(self.crawler).backpressure.not_counted():
            # Shielded: one request that is cancelled must not take the answer from the others.
            return await asyncio.shield(self._asking[origin])

    async def _find_out(self, origin: str, request: Request, known: RobotsAnswer | None) -> RobotsAnswer:
        """Hear what another worker knows, or ask and tell the others."""
        notes = downloader_of(self.crawler).host_notes
        name = f"robots:{origin}"
        if notes is None or len(origin) > _LONGEST_ORIGIN:
            return await self._ask(origin, request, known)
        while True:
            note = await notes.recall(name)
            told = _from_note(note, time.time() + self._ttl)
            if told:
                self._answers[origin] = told
                return told
            if await notes.claim(name, _CLAIM, anew=note is not None):
                break
            await asyncio.sleep(_ASKED_BY_OTHERS)
        verdict = await self._ask(origin, request, known)
        await notes.remember(name, asdict(verdict), verdict.until - time.time())
        said = verdict.detail if verdict.reason else f"{len(verdict.rules.splitlines())} rules for us"
        await notes.remember(f"robots of {urlsplit(origin).hostname}", {"said": said}, verdict.until - time.time())
        return verdict

    async def _ask(self, origin: str, request: Request, known: RobotsAnswer | None) -> RobotsAnswer:
        stats = self.crawler.stats
        stats.inc_value("robotstxt/request_count")
        try:
            response = await self.crawler.engine.download_async(_robots_request(origin, request))
        except Exception as error:  # every one has a name in reason_of()
            reason = reason_of(error)[1]
            stats.inc_value(f"robotstxt/exception_count/{reason}")
            verdict = self._without_answer(origin, reason, error)
        else:
            stats.inc_value("robotstxt/response_count")
            stats.inc_value(f"robotstxt/response_status_count/{response.status}")
            verdict = self._with_answer(origin, response)
        if verdict.reason and known and not known.reason:
            verdict = RobotsAnswer(verdict.until, known.rules)
        if verdict.reason:
            logger.info("Nothing is asked of %s for now: %s", origin, verdict.detail)
        self._answers[origin] = verdict
        return verdict

    def _with_answer(self, origin: str, response: Response) -> RobotsAnswer:
        now = time.time()
        if response.status == 429 or response.status >= 500:
            detail = f"{origin}/robots.txt could not be had: HTTP {response.status}"
            return RobotsAnswer(now + self._retry, reason="robots", detail=detail)
        if not 200 <= response.status < 300:
            return RobotsAnswer(now + self._ttl)
        body = response.body
        if len(body) > _READ:
            body = body[:_READ].rpartition(b"\n")[0]  # half a rule is another rule
        return RobotsAnswer(now + self._ttl, our_rules(body.decode("utf-8-sig", "replace"), self._agent))

    def _without_answer(self, origin: str, reason: str, error: Exception) -> RobotsAnswer:
        now = time.time()
        if reason == "too_many_redirects":
            return RobotsAnswer(now + self._ttl)
        detail = f"{origin}/robots.txt could not be had: {error}"[:500]
        return RobotsAnswer(now + self._retry, reason=reason if reason in _NO_ANSWER else "robots", detail=detail)

    async def _rules(self, rules: str) -> Protego:
        if rules is self._last_rules[0]:  # most requests are for the host of the one before
            return self._last_rules[1]
        known = self._parsed.get(rules)
        if known is None:
            parsed = await asyncio.to_thread(_parse, rules) if len(rules) > _PARSED_IN_LOOP else _parse(rules)
            known = self._parsed[rules] = (parsed, len(rules) + 100)
        self._last_rules = rules, known[0]
        return known[0]


def our_rules(text: str, agent: str) -> str:
    """The rules of the robots.txt *text* for the product token *agent* (RFC 9309, 2.2.1), as lines.

    All groups that name it count, in any case; if there is none, all groups for ``*``. The result is what
    Protego is given, because it takes minutes and gigabytes for some thousand agents with as many rules.
    """
    agent = agent.lower()
    rules: dict[str, list[str]] = {agent: [], "*": []}
    named = False
    group: set[str] = set()
    in_head = False
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if match := _AGENT.match(line):
            if not in_head:
                group = set()
            in_head = True
            group |= _agents(match[1].lower())
            named = named or agent in group
        elif _RULE.match(line):
            in_head = False
            for name in group & rules.keys():
                rules[name].append(line)
    return "\n".join(rules[agent if named else "*"])


def _agents(value: str) -> set[str]:
    """Whom a group with that user agent is for: a product, as sites write it ("imgcrawl", "imgcrawl/1.0 Bot")."""
    token = _TOKEN.match(value)
    whole = value.partition("/")[0].strip()  # a user of ours may have a token that is none, with a digit in it
    return {token[0] if token else "", whole, "*" if value.startswith(("* ", "*\t")) else whole} - {""}


def _size(answer: RobotsAnswer) -> int:
    return sys.getsizeof(answer.rules) + sys.getsizeof(answer.detail) + 500


def _parse(rules: str) -> Protego:
    parsed = Protego.parse(f"User-agent: *\n{rules}")
    parsed.can_fetch("https://host/", "*")  # the first question builds an index, here and not in the loop
    return parsed


def _robots_request(origin: str, request: Request) -> Request:
    meta: dict[str, Any] = {
        "dont_obey_robotstxt": True,
        "allow_offsite": True,  # the host of an image is not among the spider's domains
        "redirect_ttl": _REDIRECTS,
        "download_truncate": _READ + 1,
        "download_maxsize": _MAX_BODY,
    }
    # Asked for in the name of whoever named the request's address, so that the address guard judges alike.
    source = named_by(request)
    if source is not None:
        meta["page_url"] = source
        if source == request.meta.get("page_url"):
            meta["page_private"] = request.meta.get("page_private")
    if "proxy" in request.meta:
        meta["proxy"] = request.meta["proxy"]
    return Request(f"{origin}/robots.txt", meta=meta, callback=NO_CALLBACK)
