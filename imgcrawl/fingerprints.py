"""What makes two requests the same task."""

from __future__ import annotations

from scrapy import Request
from scrapy.utils.request import RequestFingerprinter


class Fingerprinter(RequestFingerprinter):
    """Knows a request by its address and, where there is one, by what is to be done with the answer (meta ``task``).

    So one page may be asked for as a list page and as a gallery, and a domain ends in an outcome of its own where
    another domain links or leads to it, too.
    """

    def fingerprint(self, request: Request) -> bytes:
        known = super().fingerprint(request)
        task = request.meta.get("task")
        return super().fingerprint(Request(f"task://{known.hex()}/", body=str(task))) if task else known
