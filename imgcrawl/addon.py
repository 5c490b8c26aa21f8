"""The whole of imgcrawl, or parts of it, in another Scrapy project by one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.pipelines.images import ImagesPipeline as ScrapyImagesPipeline
from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

from imgcrawl import settings as ours
from imgcrawl.checks import check_values
from imgcrawl.components import check_reactor
from imgcrawl.exceptions import InputError
from imgcrawl.frontier import Addon as FrontierAddon
from imgcrawl.hooks import SETTINGS as HOOKS
from imgcrawl.hooks import Addon as HooksAddon
from imgcrawl.playwright import Addon as PlaywrightAddon
from imgcrawl.refusal import tell_bad_input, tell_uncaught
from imgcrawl.telemetry import Addon as TelemetryAddon
from imgcrawl.warc import Addon as WarcAddon

logger = logging.getLogger(__name__)

# How the names of a part's settings begin.
PARTS: Mapping[str, tuple[str, ...]] = {
    "images": ("IMAGES_", "VIDEOS_", "MEDIA_", "CATALOGUE_", "GALLERIES_", "DURABILITY", "ITEM_PIPELINES", "AWS_"),
    "downloader": (
        "DOWNLOAD", "CONCURRENT_", "AUTOTHROTTLE_", "LIMITS_", "BANDWIDTH", "RETRY_", "PAGES_", "SHUTDOWN_",
        "SCHEDULER_PRIORITY_QUEUE", "DUPEFILTER_CLASS", "METAREFRESH_", "WARC_", "STATS_CLASS",
        "REQUEST_FINGERPRINTER_CLASS",
    ),
    "politeness": (
        "USER_AGENT", "ROBOTSTXT_", "OPT_OUTS_", "BUDGET_", "CRAWL_HOURS", "PRIVATE_HOSTS_", "COOKIES_FILE", "HOST_",
        "HTTPPROXY_",
    ),
    "feeds": ("FEED_",),
    "verdict": ("VERDICT_", "SUMMARY_", "HEARTBEAT_", "LIVE_"),
    "frontier": ("FRONTIER_",),
    "telemetry": ("METRICS_", "TRACES_", "LOG_JSON"),
    "hooks": ("RUN_SUMMARY", "NOTIFY_", "COMMAND_"),
}  # fmt: skip
# Settings into which parts put components: to which each belongs, by the module in its path; "" stands for all others.
COMPONENTS: Mapping[str, Mapping[str, str]] = {
    "ITEM_PIPELINES": {"": "images"},
    "DOWNLOADER_MIDDLEWARES": {
        "": "politeness",
        "retry": "downloader",
        "redirect": "downloader",
        "httpcompression": "downloader",
        "stats": "downloader",
        "pages": "downloader",
        "rows": "downloader",
        "simulation": "images",
        **dict.fromkeys(("httpcache", "unchanged"), ""),  # of no part: a cache that a project has stays its own
    },
    "SPIDER_MIDDLEWARES": {"": "politeness"},
    "EXTENSIONS": {"": "verdict", "throttle": "downloader"},  # which throttles itself
}
# What switches something on, by the part that does it.
SWITCHES = (
    ("downloader", "WARC_FOLDER"),
    ("downloader", "PAGES_PLAYWRIGHT"),
    ("telemetry", "METRICS_PORT"),
    ("telemetry", "TRACES_ENDPOINT"),
    ("telemetry", "LOG_JSON"),
    *(("hooks", name) for name in HOOKS),
)
BY_KEY = ("DOWNLOAD_HANDLERS", "FEED_STORAGES", "FEED_EXPORTERS")


class Addon:
    """`ADDONS = {"imgcrawl.Addon": 300}` switches on what the project itself does not set in another way.

    The parts are `images` (the pipeline; it takes the place of Scrapy's ImagesPipeline), `downloader` (limits that
    hold, retries, the download handler), `politeness` (robots.txt, opt-outs, budgets, no private addresses), `feeds`,
    `verdict` (progress and a judgement at the end), `frontier` (the shared queue, with REDIS_URL), `telemetry`
    (metrics, traces, a log of JSON lines) and `hooks` (a summary in a file, notifications, commands). Those that
    IMGCRAWL_WITHOUT (a list) names are left out. A setting of the project's own is never changed.

    Bad input, of these settings or of what the parts read when the crawl starts, is told in one sentence: also by
    Scrapy's own commands, which then end with exit code 2. Raises `InputError` for a part that is not known, for a
    value of a setting that makes no sense, and for another reactor than asyncio's, which every part needs.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    @classmethod
    def update_pre_crawler_settings(cls, settings: BaseSettings) -> None:
        tell_uncaught(settings)
        check_reactor(settings)
        FrontierAddon.update_pre_crawler_settings(settings)

    def update_settings(self, settings: BaseSettings) -> None:
        tell_bad_input(self.crawler)
        check_values(settings)
        parts = _parts(settings)
        set_values(settings)
        for name, value in _defaults():
            if name in COMPONENTS:
                _add_components(settings, name, value, parts)
            elif name in BY_KEY and _part_of(name) in parts:
                for key, entry in value.items():
                    # A scheme that is off here may be in their spiders: the address guard keeps it from pages.
                    if entry is not None or "politeness" not in parts:
                        settings[name].set(key, entry, "addon")
        if "downloader" in parts:
            PlaywrightAddon().update_settings(settings)
            WarcAddon().update_settings(settings)
        _check_switches(settings, parts)
        if "frontier" in parts:
            FrontierAddon(self.crawler).update_settings(settings)
        if "telemetry" in parts:
            TelemetryAddon().update_settings(settings)
        if "hooks" in parts:
            HooksAddon().update_settings(settings)


def set_values(settings: BaseSettings) -> None:
    """Give *settings* the values that the project itself does not set: also for commands, which load no add-on.

    Raises `InputError` for a part that is not known.
    """
    parts = _parts(settings)
    for name, value in _defaults():
        if name not in COMPONENTS and name not in BY_KEY and _part_of(name) in parts:
            settings.set(name, value, "addon")


def _parts(settings: BaseSettings) -> set[str]:
    without = settings.getlist("IMGCRAWL_WITHOUT")
    if unknown := set(without) - set(PARTS):
        raise InputError(f"IMGCRAWL_WITHOUT names {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    return set(PARTS) - set(without)


def _check_switches(settings: BaseSettings, parts: set[str]) -> None:
    for part, name in SWITCHES:
        if part not in parts and _is_on(settings, name):
            raise InputError(f"{name} is set, and IMGCRAWL_WITHOUT names {part}, which does it")


def _is_on(settings: BaseSettings, name: str) -> bool:
    if isinstance(getattr(ours, name), bool):
        return settings.getbool(name)
    return settings.get(name) not in (None, "", [])


def _defaults() -> Iterator[tuple[str, Any]]:
    return ((name, getattr(ours, name)) for name in dir(ours) if name.isupper())


def _part_of(name: str) -> str:
    return next((part for part, beginnings in PARTS.items() if name.startswith(beginnings)), "")


def _add_components(settings: BaseSettings, name: str, components: Mapping[str, int | None], parts: set[str]) -> None:
    for path, order in components.items():
        module = path.rpartition(".")[0].rpartition(".")[2]
        if COMPONENTS[name].get(module, COMPONENTS[name][""]) not in parts:
            continue
        component = load_object(path)
        if name != "ITEM_PIPELINES" or _has_room(settings, component):
            settings.setdefault_in_component_priority_dict(name, component, order)


def _has_room(settings: BaseSettings, ours_: type[ScrapyImagesPipeline]) -> bool:
    """Whether our pipeline, *ours_*, may be added; it takes the place of Scrapy's.

    Beside one that the project has made of either, both would store every image, and both would fill `images`.
    """
    theirs = {load_object(path) for path, order in settings.getdict("ITEM_PIPELINES").items() if order is not None}
    made = [cls for cls in theirs - {ScrapyImagesPipeline, ours_} if _field(cls) == _field(ours_)]
    for cls in made:
        if not issubclass(cls, ours_):
            logger.warning(
                "ITEM_PIPELINES has %s.%s, which stores images: imgcrawl's ImagesPipeline is left out; take that one "
                "out, or derive it from imgcrawl.pipelines.ImagesPipeline",
                cls.__module__,
                cls.__qualname__,
            )
    if ScrapyImagesPipeline in theirs and not made:
        settings.replace_in_component_priority_dict("ITEM_PIPELINES", ScrapyImagesPipeline, ours_)
    return not made


def _field(pipeline: Any) -> str | None:
    """The field of an item in which an images pipeline tells its outcomes; None of another pipeline."""
    is_one = isinstance(pipeline, type) and issubclass(pipeline, ScrapyImagesPipeline)
    return getattr(pipeline, "IMAGES_RESULT_FIELD", pipeline.DEFAULT_IMAGES_RESULT_FIELD) if is_one else None
