"""A request's way through the downloader middlewares. Tested with Scrapy 2.19."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from scrapy import Request
from scrapy.core.downloader.middleware import DownloaderMiddlewareManager
from scrapy.exceptions import _InvalidOutput
from scrapy.http import Response
from scrapy.utils.defer import _process_pending_io, ensure_awaitable
from scrapy.utils.python import global_object_name

_Download = Callable[[Request], Coroutine[Any, Any, Response]]


class MiddlewareManager(DownloaderMiddlewareManager):
    """Scrapy's, at a third of the price for middlewares that return at once.

    Scrapy makes a coroutine of whatever a middleware returns, and an image passes twenty of their methods. Here only
    what is neither None nor a request or response is awaited, and a coroutine as it is. And an exception is not kept by
    its own traceback: what failed stayed in memory, with its request, until garbage was looked for.
    """

    async def download_async(self, download_func: _Download, request: Request) -> Response | Request:
        try:
            result = await self._process_request(request, download_func)
        except Exception as error:
            await _process_pending_io()
            if (answer := await self._answer_to(error, request)) is None:
                raise
            result = answer
        return await self._process_response(result, request)

    def _handle_mw_method(self, method: Callable[..., Any], **kwargs: Any) -> Any:
        if self._mw_methods_requiring_spider:  # of middlewares of old
            return super()._handle_mw_method(method, **kwargs)
        return method(**kwargs)

    async def _process_request(self, request: Request, download_func: _Download) -> Response | Request:
        for method in self.methods["process_request"]:
            result = self._handle_mw_method(method, request=request)  # type: ignore[arg-type] # None is for spiders'
            if result is not None and not isinstance(result, Response | Request):
                result = await _awaited(method, result)
            if result is not None:
                return _checked(method, result)
        return await download_func(request)

    async def _process_response(self, response: Response | Request, request: Request) -> Response | Request:
        if response is None:
            raise TypeError("Received None in process_response")
        if isinstance(response, Request):
            return response
        for method in self.methods["process_response"]:
            result = self._handle_mw_method(method, request=request, response=response)  # type: ignore[arg-type] # as above
            if not isinstance(result, Response):
                result = await _awaited(method, result)
            response = _checked(method, result)
            if isinstance(response, Request):
                return response
        return response

    async def _answer_to(self, exception: Exception, request: Request) -> Response | Request | None:
        for method in self.methods["process_exception"]:
            result = self._handle_mw_method(method, request=request, exception=exception)  # type: ignore[arg-type] # as above
            if result is not None and not isinstance(result, Response | Request):
                result = await _awaited(method, result)
            if result is not None:
                return _checked(method, result)
        return None


async def _awaited(method: Any, result: Any) -> Any:
    if isinstance(result, CoroutineType):
        return await result
    return await ensure_awaitable(result, _warn=global_object_name(method))


def _checked(method: Any, result: Any) -> Response | Request:
    if isinstance(result, Response | Request):
        return result
    raise _InvalidOutput(f"Middleware {method.__qualname__} must return a Response or a Request, got {type(result)}")
