"""Pages of a host that hangs, each of a priority of its own, and after them pages of another host, of a lower one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from scrapy import Request, Spider
from scrapy.http import Response


class PrioritiesSpider(Spider):
    name = "priorities"
    hangs = ""
    answers = ""
    count = "0"

    async def start(self) -> AsyncIterator[Any]:
        for number in range(int(self.count)):
            yield Request(f"{self.hangs}/{number}", priority=number + 1)
        for number in range(100):
            yield Request(f"{self.answers}/{number}.html")

    def parse(self, response: Response) -> None:
        pass
