"""A process that sends notifications: `python -P sending.py`, with what to send as JSON on stdin.

By itself, because the library is large, because it logs the addresses, in which passwords stand, and because it can be
ended. The answer on stdout, JSON: the numbers of addresses that are none, and of those that took nothing.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    order = json.load(sys.stdin)
    from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415 -- an extra

    asset = AppriseAsset(app_id="imgcrawl", app_desc="imgcrawl", async_mode=False)
    services: list[Any] = [Apprise.instantiate(url, asset=asset, suppress_exceptions=True) for url in order["urls"]]
    told: dict[str, list[int]] = {"invalid": [n for n, service in enumerate(services) if service is None], "failed": []}

    def send(number: int) -> bool:
        one = Apprise(asset=asset)
        one.add(services[number])
        message = {"title": order["title"], "body": order["body"], "notify_type": order["type"]}
        return bool(one.notify(**message, body_format=NotifyFormat.TEXT))

    if "body" in order:
        numbers = [n for n, service in enumerate(services) if service is not None]
        with ThreadPoolExecutor(8) as threads:
            told["failed"] = [n for n, sent in zip(numbers, threads.map(send, numbers), strict=True) if not sent]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
