"""What users of scrapy-redis bring along: settings that mean nothing here, its scheduler, its spiders, its stats."""

from __future__ import annotations

import json
import logging
import warnings
from time import monotonic, time
from typing import Any

import redis
from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import ScrapyDeprecationWarning
from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings
from scrapy.statscollectors import StatsCollector
from scrapy.utils.misc import load_object
from scrapy_redis.connection import from_settings
from scrapy_redis.scheduler import Scheduler as StockScheduler
from scrapy_redis.stats import RedisStatsCollector

from imgcrawl.shared.address import redis_params

logger = logging.getLogger(__name__)

# Not honoured: the script that leases pages works in Redis itself, with an order, a memory and a form of its own.
WITHOUT_EFFECT = ("SCHEDULER_QUEUE_CLASS", "DUPEFILTER_CLASS", "SCHEDULER_SERIALIZER")
STATS_INTERVAL = 1.0  # seconds between two writes of stats to Redis


def silence_deprecations() -> None:
    """Keep what Scrapy says of scrapy-redis' code to its developers from our users."""
    warnings.filterwarnings("ignore", r"(?s).*\b(scrapy_redis\.|RedisPipeline\.)", ScrapyDeprecationWarning)
    warnings.filterwarnings("ignore", category=ScrapyDeprecationWarning, module=r"scrapy_redis\.")


def uses_stock_scheduler(settings: BaseSettings) -> bool:
    """Whether the user chose scrapy-redis' own scheduler. He is told once what it lacks."""
    chosen = load_object(settings["SCHEDULER"])
    if chosen is not StockScheduler:
        return False
    logger.warning(
        "SCHEDULER=scrapy_redis.scheduler.Scheduler: a page is lost with the worker that has it, each worker runs"
        " start(), workers leave one by one, and the first to leave clears the queue unless SCHEDULER_PERSIST is True;"
        " without this setting a scheduler with the same settings and none of this is used"
    )
    if not _is_chosen(settings, "DUPEFILTER_CLASS"):  # it works with no other kind
        settings.set("DUPEFILTER_CLASS", "scrapy_redis.dupefilter.RFPDupeFilter", "project")
    return True


def tell_what_has_no_effect(settings: BaseSettings) -> None:
    """One sentence on settings of scrapy-redis that cannot be honoured."""
    names = [name for name in WITHOUT_EFFECT if settings.get(name) and _is_chosen(settings, name)]
    if names:
        logger.warning(
            "%s: no effect here; pages are ordered by priority, host and age, known by their fingerprint, and kept as"
            " JSON, so that a page can be leased",
            ", ".join(names),
        )
    if "redis_cls" in redis_params(settings):
        logger.warning(
            "redis_cls in REDIS_PARAMS: no effect here; the client is redis-py's for asyncio, as no crawl waits for it"
        )


def take_over_stats(settings: BaseSettings, collector: type[StatsCollector]) -> None:
    """Have *collector* in the place of scrapy-redis', if that was chosen, which keeps numbers only."""
    if load_object(settings["STATS_CLASS"]) is RedisStatsCollector:
        priority = settings.getpriority("STATS_CLASS") or 0
        settings.set("STATS_CLASS", collector, max(priority, SETTINGS_PRIORITIES["addon"]))


class SharedStatsCollector(RedisStatsCollector):  # type: ignore[misc] # scrapy-redis has no types
    """scrapy-redis' stats: in the hash STATS_KEY (default `<spider>:stats`) the counts of all workers add up.

    The original asks Redis, and waits, for each count, and fails on a value that is no number. Here a worker has its
    own stats in memory, as other parts read them, and writes what was added once a second and in the end.
    """

    def __init__(self, crawler: Crawler, spider: Spider | None = None) -> None:
        super().__init__(crawler, spider)
        self._added: dict[str, int | float] = {}
        self._set: dict[str, str | int | float] = {}
        self._written_at = monotonic()

    def get_value(self, key: str, default: Any = None, spider: Spider | None = None) -> Any:
        return self._stats.get(key, default)

    def get_stats(self, spider: Spider | None = None) -> dict[str, Any]:
        return self._stats  # type: ignore[no-any-return] # the same

    def set_value(self, key: str, value: Any, spider: Spider | None = None) -> None:
        self._stats[key] = value
        self._added.pop(key, None)
        plain = value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)
        self._set[key] = plain
        self._write()

    def set_stats(self, stats: dict[str, Any], spider: Spider | None = None) -> None:
        for key, value in stats.items():
            self.set_value(key, value)

    def inc_value(self, key: str, count: int = 1, start: int = 0, spider: Spider | None = None) -> None:
        self._stats[key] = self._stats.get(key, start) + count
        self._added[key] = self._added.get(key, 0) + count
        self._write()

    def max_value(self, key: str, value: Any, spider: Spider | None = None) -> None:
        self.set_value(key, max(self._stats.get(key, value), value))

    def min_value(self, key: str, value: Any, spider: Spider | None = None) -> None:
        self.set_value(key, min(self._stats.get(key, value), value))

    def clear_stats(self, spider: Spider | None = None) -> None:
        self._stats.clear()
        self._added.clear()
        self._set.clear()
        super().clear_stats(spider)

    def open_spider(self, spider: Spider | None = None) -> None:
        super().open_spider(spider or self._crawler.spider)

    def close_spider(self, spider: Spider | None = None, reason: str | None = None) -> None:
        self._write(now=True)
        if not self.persist:
            super().clear_stats(self.spider)

    def _write(self, *, now: bool = False) -> None:
        if not now and monotonic() - self._written_at < STATS_INTERVAL:
            return
        self._written_at = monotonic()
        key = self._get_key()
        pipe = self.server.pipeline(transaction=False)
        for name, value in self._set.items():
            pipe.hset(key, name, value)
        for name, value in self._added.items():
            pipe.hincrbyfloat(key, name, value) if isinstance(value, float) else pipe.hincrby(key, name, value)
        try:
            pipe.execute(raise_on_error=False)
        except (redis.RedisError, OSError) as error:
            logger.debug("The stats could not be written to Redis: %s", error)
            return
        self._set.clear()
        self._added.clear()


def lend_fetching(spider: Any, settings: BaseSettings) -> str | None:
    """The key that *spider* reads if it is one of scrapy-redis (`RedisMixin`), which from now on leaves that to us.

    It takes values away from others and keeps them in this process only: with it they would be lost. Its own client,
    made before an add-on could say that REDIS_URL is in the environment, is of the server of all.
    """
    if not hasattr(spider, "make_request_from_data") or not isinstance(getattr(spider, "redis_key", None), str):
        return None
    options = _options_of(getattr(spider, "server", None))
    is_set = (settings.getpriority("REDIS_URL") or 0) > SETTINGS_PRIORITIES[
        "addon"
    ]  # by the user, for the spider to see
    if not is_set and (options.get("host"), options.get("port")) == ("localhost", 6379):
        spider.server = from_settings(settings)
    spider.fetch_data = lambda *_: ()
    spider.count_size = lambda *_: 0
    return str(spider.redis_key)


def reads_as_stock(spider: Any) -> bool:
    """Whether *spider* reads what is fed as scrapy-redis does, and not by code of its own."""
    return _is_stock(spider, "make_request_from_data")


def idles_as_stock(spider: Any) -> bool:
    """Whether *spider* has no code of its own that says whether it ends when it is idle."""
    return _is_stock(spider, "spider_idle")


def has_worked(spider: Any) -> None:
    """*spider* has had a page: the clock of scrapy-redis, from which it counts how long it is idle, looks at a key that
    we have emptied."""
    spider.spider_idle_start_time = int(time())


def _is_stock(spider: Any, name: str) -> bool:
    from scrapy_redis.spiders import RedisMixin  # noqa: PLC0415 -- only where such a spider is

    return getattr(type(spider), name, None) is getattr(RedisMixin, name)


def _options_of(client: Any) -> dict[str, Any]:
    """How *client*, of redis-py, connects; nothing for another one."""
    return getattr(getattr(client, "connection_pool", None), "connection_kwargs", {})


def as_its_spider_reads(value: bytes, spider: Any) -> bytes | str:
    """*value* as *spider* takes it: text, if its client decodes (REDIS_DECODE_RESPONSES), else bytes; JSON where
    scrapy-redis would complain of every plain address."""
    if reads_as_stock(spider) and value.lstrip()[:1] != b"{":
        value = json.dumps({"url": value.decode(spider.redis_encoding).strip()}).encode(spider.redis_encoding)
    options = _options_of(getattr(spider, "server", None))
    return value.decode(options.get("encoding", "utf-8")) if options.get("decode_responses") else value


def _is_chosen(settings: BaseSettings, name: str) -> bool:
    """Whether the project, or who starts the crawl, has set *name*, which is not our own value."""
    is_set = (settings.getpriority(name) or 0) > SETTINGS_PRIORITIES["default"]
    return is_set and settings[name] != "imgcrawl.jobdir.DupeFilter"
