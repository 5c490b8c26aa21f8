"""Pages of rows, which carry what they are."""

from __future__ import annotations

from scrapy import Request
from scrapy.http import Response


class RowsMiddleware:
    """Answers requests with the scheme ``rows:`` at once, with an empty response: their rows are in `cb_kwargs`.

    Must come before every middleware that looks at addresses.
    """

    def process_request(self, request: Request) -> Response | None:
        return Response(request.url, request=request) if request.url.startswith("rows:") else None
