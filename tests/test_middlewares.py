"""What our manager of middlewares saves changes nothing that Scrapy's does."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from scrapy import Request
from scrapy.core.downloader.middleware import DownloaderMiddlewareManager
from scrapy.http import Response
from scrapy.utils.test import get_crawler

from imgcrawl.middlewares import MiddlewareManager

URL = "http://example.org/"


class Middleware:
    def __init__(self, before: Any = None, after: Any = None, error: Any = None) -> None:
        self.values = {"before": before, "after": after, "error": error}

    def value(self, when: str, otherwise: Any) -> Any:
        made = self.values[when]
        return otherwise if made is None else made(otherwise) if callable(made) else made

    def process_request(self, request: Request) -> Any:
        return self.value("before", None)

    def process_response(self, request: Request, response: Response) -> Any:
        return self.value("after", response)

    def process_exception(self, request: Request, exception: Exception) -> Any:
        return self.value("error", None)


class WithSpider(Middleware):
    def process_request(self, request: Request, spider: Any) -> Any:  # type: ignore[override] # as older ones have it
        return Response(URL, body=spider.name.encode())


async def later(value: Any) -> Any:
    return value


def fails(_: Any) -> Any:
    raise KeyError("broken")


OTHER = Response(URL, status=201)
CASES = (
    [Middleware(), Middleware()],
    [Middleware(before=OTHER), Middleware(before=fails)],
    [Middleware(before=Request(URL))],
    [Middleware(before=later), Middleware(after=later)],
    [Middleware(before=lambda _: later(OTHER))],
    [Middleware(after=lambda _: later(OTHER)), Middleware(after=fails, error=OTHER)],
    [Middleware(after=Request(URL)), Middleware()],
    [Middleware(before=fails, error=Request(URL))],
    [Middleware(before=fails)],
    [Middleware(before=fails, error=lambda _: later(OTHER)), Middleware(error=fails)],
    [Middleware(before=fails, error=lambda _: later(None)), Middleware(error=OTHER)],
    [Middleware(before=fails, error=fails)],
    [Middleware(before=fails, error="no response")],
    [Middleware(before="no response")],
    [Middleware(before=0)],
    [Middleware(after="no response")],
    [Middleware(after=lambda _: later(None))],
    [WithSpider()],
)


async def told(kind: type[DownloaderMiddlewareManager], middlewares: list[Middleware]) -> tuple[str, Any]:
    crawler = get_crawler()
    crawler.spider = crawler._create_spider("one")

    async def send(request: Request) -> Response:
        return Response(URL, body=b"sent")

    try:
        result = await kind(*middlewares, crawler=crawler).download_async(send, Request(URL))
    except Exception as error:
        return type(error).__name__, ""
    return type(result).__name__, (getattr(result, "status", 0), getattr(result, "body", b""))


@pytest.mark.filterwarnings("ignore:.*requires a spider argument")
@pytest.mark.parametrize("middlewares", CASES)
async def test_every_result_of_a_middleware_has_the_effect_that_it_has_in_scrapy(middlewares: list[Middleware]) -> None:
    assert await told(MiddlewareManager, middlewares) == await told(DownloaderMiddlewareManager, middlewares)


async def test_what_failed_is_gone_at_once_and_not_when_garbage_is_looked_for() -> None:
    class Noted(Request):
        pass

    async def fail(request: Request) -> Response:
        raise ConnectionError(request.url)

    crawler = get_crawler()
    crawler.spider = crawler._create_spider("one")
    manager, request = MiddlewareManager(Middleware(), crawler=crawler), Noted(URL)
    kept = weakref.ref(request)
    gc.disable()
    try:
        with pytest.raises(ConnectionError):
            await manager.download_async(fail, request)
        del request
        assert kept() is None
    finally:
        gc.enable()
