"""Signals of a crawl. Tested with Scrapy 2.19 and PyDispatcher 2."""

from __future__ import annotations

from typing import Any

from pydispatch import dispatcher
from scrapy.signalmanager import SignalManager as ScrapysSignalManager

# The answer (*response*) of a page that was fetched as a part of another, and so comes to no callback, has been read.
PART_READ = object()


class SignalManager(ScrapysSignalManager):
    """Scrapy's, but for signals that nobody listens to, of which an image has six: these cost nothing."""

    def send_catch_log(self, signal: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        if not has_listeners(kwargs.get("sender", self.sender), signal):
            return []
        return super().send_catch_log(signal, **kwargs)


def has_listeners(sender: object, signal: object) -> bool:
    """Whether somebody may listen to *signal* of *sender*."""
    for each in (sender, dispatcher.Any):
        connected = dispatcher.connections.get(id(each))
        if connected and (signal in connected or dispatcher.Any in connected):
            return True
    return False
