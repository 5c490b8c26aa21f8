"""Where traces come from: classes that take the time, in the place of those that do the work."""

from __future__ import annotations

from typing import Any

from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

from imgcrawl.downloader import Downloader
from imgcrawl.exceptions import InputError
from imgcrawl.pipelines import ImagesPipeline, VideosPipeline
from imgcrawl.telemetry.timing import (
    TimedDownloader,
    TimedImagesPipeline,
    TimedVideosPipeline,
    TimingDownloaderMiddleware,
    TimingSpiderMiddleware,
)
from imgcrawl.telemetry.traces import Traces

_PIPELINES: dict[Any, Any] = {ImagesPipeline: TimedImagesPipeline, VideosPipeline: TimedVideosPipeline}


def install_traces(settings: BaseSettings) -> None:
    """Have the crawl with these *settings* traced.

    A project that has other classes than ours keeps them, and its traces have no parts of these: with Scrapy's
    downloader all until the answer is one `download`. Raises `InputError`.
    """
    share = settings.getfloat("TRACES_SAMPLED", 0.02)
    if not 0 <= share <= 1:
        raise InputError(f"TRACES_SAMPLED={settings.get('TRACES_SAMPLED', 0.02)!r:.60}: expected a share from 0 to 1")
    endpoint = str(settings.get("TRACES_ENDPOINT", ""))
    if not endpoint.startswith(("http://", "https://")):
        raise InputError(
            "TRACES_ENDPOINT: expected the address of a collector for OTLP over HTTP, as in"
            " http://127.0.0.1:4318/v1/traces"
        )
    settings.setdefault_in_component_priority_dict(
        "EXTENSIONS", Traces, -5000
    )  # the first to hear that an item is there
    settings.setdefault_in_component_priority_dict("SPIDER_MIDDLEWARES", TimingSpiderMiddleware, 2)
    if load_object(settings["DOWNLOADER"]) is Downloader:
        settings.set("DOWNLOADER", TimedDownloader, settings.getpriority("DOWNLOADER") or 0)
    else:
        settings.setdefault_in_component_priority_dict("DOWNLOADER_MIDDLEWARES", TimingDownloaderMiddleware, 1)
    for path, order in settings.getdict("ITEM_PIPELINES").items():
        if order is not None and (timed := _PIPELINES.get(load_object(path))):
            settings.replace_in_component_priority_dict("ITEM_PIPELINES", load_object(path), timed)
