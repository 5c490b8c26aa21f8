"""How an image of a replica answers, as its behaviour says."""

from __future__ import annotations

import asyncio
import hashlib
from urllib.parse import urlsplit

from aiohttp import web

from imgcrawl.demo.site import SLOW, SiteImage, page


async def answer(  # noqa: PLR0911 -- one return a behaviour, as a table would have rows
    request: web.Request, image: SiteImage, url: str, asked: int
) -> web.StreamResponse:
    """The answer of *image* to *request* for its address *url*, which it gets for the *asked*-th time."""
    behaviour = image.behaviour
    if image.final_url and url == image.clean:
        here = behaviour == "moved"
        target = urlsplit(image.final_url).path if here else image.final_url
        return web.Response(status=301 if here else 302, headers={"Location": target})
    if behaviour == "gone":
        return page("404 Not Found", "<h1>404</h1>", 404)
    if (behaviour == "gated" or image.gated) and request.headers.get("Referer") != image.page:
        return web.Response(text="hotlinking forbidden", status=403)
    if behaviour == "page":
        return page("Please wait", "<p>Your request is being checked.</p>")
    if behaviour == "limited-once" and asked == 1:
        return web.Response(status=429, headers={"Retry-After": "1"})
    if behaviour == "busy-once" and asked == 1:
        return web.Response(status=503)
    if behaviour == "slow":
        await asyncio.sleep(SLOW)
    body = await asyncio.to_thread(image.served)
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    headers = {
        "Content-Type": "application/octet-stream" if behaviour == "untyped" else image.content_type,
        "ETag": etag,
        "Last-Modified": "Thu, 12 Apr 2018 08:00:00 GMT",
    }
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    if behaviour == "broken-once" and asked == 1:
        return await _broken(request, body, headers)
    return web.Response(body=body, status=201 if behaviour == "created" else 200, headers=headers)


async def _broken(request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
