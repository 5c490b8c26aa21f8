"""By what a page is known, so that it is queued once."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from json import dumps

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.utils.request import RequestFingerprinter

from imgcrawl.frontier.queue import FINGERPRINT
from imgcrawl.frontier.run import SharedRun

SHA1 = 20  # bytes of a fingerprint of Scrapy's, any part of which is as good as the whole
RECENT = 20_000  # fingerprints remembered here, so that a link on every page is not asked about on every page


def once_a_run(fingerprint: bytes, run: str) -> bytes:
    """The fingerprint, in the run of that id, of what has *fingerprint* in all."""
    return blake2b(fingerprint + run.encode(), digest_size=FINGERPRINT).digest()


class KnownPages:
    """Fingerprints of requests, and those that this worker has queued a short time ago in *run*."""

    def __init__(self, crawler: Crawler, run: SharedRun) -> None:
        self._crawler = crawler
        self._run = run
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._recent_as_of = 0  # `lost_reports` then

    def fingerprint(self, request: Request) -> bytes:
        fingerprinter = self._crawler.request_fingerprinter
        known = fingerprinter.fingerprint(request)
        if isinstance(fingerprinter, RequestFingerprinter) and len(known) == SHA1:
            return known[:FINGERPRINT]
        return blake2b(known, digest_size=FINGERPRINT).digest()  # a project's own may be an address, or a number

    def once_a_run(self, fingerprint: bytes) -> bytes:
        """The fingerprint of a page in this run: earlier runs may have fetched it."""
        return once_a_run(fingerprint, self._run.id)

    def start_in_run(self, request: Request, fingerprint: bytes) -> bytes:
        """The fingerprint of a start page in this run: pages fetched in an earlier run may be fetched in this one."""
        callback = getattr(request.callback, "__name__", "")
        what = dumps([self._run.id, callback, request.cb_kwargs], sort_keys=True).encode()
        return blake2b(fingerprint + what, digest_size=FINGERPRINT).digest()

    def is_recent(self, fingerprint: bytes) -> bool:
        """Whether this worker has queued that page a short time ago; from now on it has."""
        if self._recent_as_of != self._run.lost_reports:  # what was queued may be lost
            self._recent_as_of = self._run.lost_reports
            self._recent.clear()
        if fingerprint in self._recent:
            return True
        self._recent[fingerprint] = None
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return False
