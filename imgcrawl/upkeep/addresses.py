"""What the catalogue knows an address as."""

from __future__ import annotations

from typing import Any

from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.settings import Settings
from scrapy.utils.misc import build_from_crawler, load_object

from imgcrawl.exceptions import InputError
from imgcrawl.identity import Identity


class AddressKeys:
    """The fingerprints that crawls with *settings* give to addresses of images."""

    def __init__(self, settings: Settings) -> None:
        kind: Any = load_object(settings["REQUEST_FINGERPRINTER_CLASS"])
        self.fingerprinter: Any = build_from_crawler(kind, Crawler(Spider, settings.copy()))
        self._identity = Identity.of_images(settings)

    def of(self, url: str) -> bytes:
        """The fingerprint of the address *url*. Raises `InputError` for what is none."""
        try:
            key: bytes = self.fingerprinter.fingerprint(Request(self._identity.of(url)))
        except ValueError as error:
            raise InputError(f"{url}: {error}; expected the address of an image") from error
        return key
