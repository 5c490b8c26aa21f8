"""The whole of imgcrawl, or parts of it, in another Scrapy project by one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

from imgcrawl import settings as ours
from imgcrawl.checks import check_values
from imgcrawl.exceptions import InputError
from imgcrawl.frontier import Addon as FrontierAddon
from imgcrawl.playwright import Addon as PlaywrightAddon
from imgcrawl.refusal import tell_bad_input

# How the names of a part's settings begin.
PARTS: Mapping[str, tuple[str, ...]] = {
    "images": ("IMAGES_", "VIDEOS_", "MEDIA_", "CATALOGUE_", "DURABILITY", "ITEM_PIPELINES"),
    "downloader": (
        "DOWNLOAD", "CONCURRENT_", "AUTOTHROTTLE_", "LIMITS_", "BANDWIDTH", "RETRY_", "PAGES_", "SHUTDOWN_",
        "SCHEDULER_PRIORITY_QUEUE",
    ),
    "politeness": (
        "USER_AGENT", "ROBOTSTXT_", "OPT_OUTS_", "BUDGET_", "CRAWL_HOURS", "PRIVATE_HOSTS_", "COOKIES_FILE", "HOST_"
    ),
    "feeds": ("FEED_",),
    "verdict": ("VERDICT_", "SUMMARY_", "HEARTBEAT_", "EXTENSIONS"),
    "frontier": ("FRONTIER_",),
}  # fmt: skip
# Settings into which several parts put components: what of them belongs to which, by the last words of its path.
SHARED = {
    "DOWNLOADER_MIDDLEWARES": {
        "retry": "downloader",
        "redirect": "downloader",
        "httpcompression": "downloader",
        "pages": "downloader",
        "rows": "downloader",
    },
    "SPIDER_MIDDLEWARES": {},
}
COMPONENTS = ("ITEM_PIPELINES", "DOWNLOADER_MIDDLEWARES", "SPIDER_MIDDLEWARES", "EXTENSIONS")
BY_KEY = ("DOWNLOAD_HANDLERS", "FEED_STORAGES", "FEED_EXPORTERS")
SCRAPYS_PIPELINE = "scrapy.pipelines.images.ImagesPipeline"


class Addon:
    """`ADDONS = {"imgcrawl.Addon": 300}` switches on what the project itself does not set in another way.

    The parts are `images` (the pipeline; it takes the place of Scrapy's ImagesPipeline), `downloader` (limits that
    hold, retries, the download handler), `politeness` (robots.txt, opt-outs, budgets, no private addresses), `feeds`,
    `verdict` (progress and a judgement at the end) and `frontier` (the shared queue, with REDIS_URL). Those that
    IMGCRAWL_WITHOUT (a list) names are left out. A setting of the project's own is never changed.

    Bad input, of these settings or of what the parts read when the crawl starts, is told in one sentence: also by
    Scrapy's own commands, which then end with exit code 2. Raises `InputError` for a part that is not known, and for a
    value of a setting that makes no sense.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def update_settings(self, settings: BaseSettings) -> None:
        tell_bad_input(self.crawler)
        check_values(settings)
        parts = _parts(settings)
        for name, value in _defaults():
            if name in BY_KEY:
                if _part_of(name) in parts:
                    for key, entry in value.items():
                        settings[name].set(key, entry, "addon")
            elif name in COMPONENTS:
                _add_components(settings, name, value, parts)
            elif _part_of(name) in parts:
                settings.set(name, value, "addon")
        if "downloader" in parts:
            PlaywrightAddon().update_settings(settings)
        if "frontier" in parts:
            FrontierAddon(self.crawler).update_settings(settings)


def _parts(settings: BaseSettings) -> set[str]:
    without = settings.getlist("IMGCRAWL_WITHOUT")
    if unknown := set(without) - set(PARTS):
        raise InputError(f"IMGCRAWL_WITHOUT names {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    return set(PARTS) - set(without)


def _defaults() -> Iterator[tuple[str, Any]]:
    return ((name, getattr(ours, name)) for name in dir(ours) if name.isupper())


def _part_of(name: str) -> str:
    return next((part for part, beginnings in PARTS.items() if name.startswith(beginnings)), "")


def _add_components(settings: BaseSettings, name: str, components: Mapping[str, int | None], parts: set[str]) -> None:
    for path, order in components.items():
        module = path.rpartition(".")[0].rpartition(".")[2]
        part = SHARED[name].get(module, "politeness") if name in SHARED else _part_of(name)
        if part not in parts:
            continue
        component = load_object(path)
        if name == "ITEM_PIPELINES" and SCRAPYS_PIPELINE in settings.getdict(name):
            settings.replace_in_component_priority_dict(name, load_object(SCRAPYS_PIPELINE), component)
        else:
            settings.setdefault_in_component_priority_dict(name, component, order)
