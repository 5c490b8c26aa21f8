"""How the crawl of a spider is: one structure from what all its processes say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imgcrawl.live.entries import of_folder
from imgcrawl.live.shared import of_redis
from imgcrawl.live.view import ALIVE

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings


async def overview(settings: BaseSettings, spider: str) -> dict[str, Any]:
    """How the crawl of *spider* is, or was when it ended, as docs/watch-a-crawl.md describes it.

    Looks in Redis, where *settings* or the environment name one (REDIS_URL), and in LIVE_FOLDER. Where both know of a
    crawl, the one is told that runs, or that began last. Costs the same however many hosts and pages there are. Does
    not raise for what others have written; raises `InputError` for settings that make no sense, and for a Redis that
    does not answer.
    """
    local = await asyncio.to_thread(of_folder, settings, spider)
    shared = await of_redis(settings, spider)
    if shared is None or (shared["state"] not in ALIVE and _is_newer(local, shared)):
        return local
    return shared


def _is_newer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["run"] and one["run"] == other["run"]:  # this user's workers are some of those that share it
        return False
    return one["state"] != "none" and (one["state"] in ALIVE or one["started"] > other["started"])
