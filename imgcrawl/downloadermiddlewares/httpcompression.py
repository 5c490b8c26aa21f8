"""Bodies as they were before they were compressed."""

from __future__ import annotations

import asyncio
import logging

import scrapy.downloadermiddlewares.httpcompression
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.responsetypes import responsetypes

from imgcrawl.bodies import encodings_of

logger = logging.getLogger(__name__)

_LARGE = 64 * 1024  # compressed bytes that take some milliseconds


class HttpCompressionMiddleware(scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware):
    """Scrapy's (same settings, stats and errors), for servers whose Content-Encoding is not true.

    What is no coding (``identity``, ``none``, ``utf-8``) is passed over without a warning. A body that is not coded as
    the header says is taken as it came. Large bodies are decoded outside the event loop.
    """

    async def process_response(  # type: ignore[override]  # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response
    ) -> Request | Response:
        if "Content-Encoding" not in response.headers or request.method == "HEAD" or not response.body:
            return response
        encodings = encodings_of(response.headers)
        if not encodings:
            return _as_it_came(response)
        response.headers["Content-Encoding"] = encodings
        decode = super().process_response
        try:
            if len(response.body) < _LARGE:
                return decode(request, response)
            return await asyncio.to_thread(decode, request, response)
        except IgnoreRequest:  # too large when decoded
            raise
        except Exception as error:  # each library of a coding raises its own
            logger.debug("%s is not %r, whatever it says: %s", response, encodings, error)
            return _as_it_came(response)


def _as_it_came(response: Response) -> Response:
    del response.headers["Content-Encoding"]
    kind = responsetypes.from_args(headers=response.headers, url=response.url, body=response.body)
    return response.replace(cls=kind)
