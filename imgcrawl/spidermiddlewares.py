"""What every request of a spider carries along."""

from __future__ import annotations

from scrapy import Request
from scrapy.http import Response
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware

from imgcrawl.downloadermiddlewares.addressguard import came_from_private


class PageUrlMiddleware(BaseSpiderMiddleware):
    """Notes in a request's meta which page named its address, for the address guard and for the Referer.

    ``page_url`` is the page's address, unless the callback set one. ``page_private`` is True if the page came
    from an address that is not public; it travels with the request to workers that never saw the page. Start
    requests get neither: the user named them himself.
    """

    def get_processed_request(self, request: Request, response: Response | None) -> Request:
        if response is not None and "page_url" not in request.meta:
            request.meta["page_url"] = response.url
            if response.request and came_from_private(response, response.request):
                request.meta["page_private"] = True
        return request
