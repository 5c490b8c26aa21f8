"""Requests as they lie in Redis: their JSON, compressed against a text that has what is common to all of them."""

from __future__ import annotations

import zlib

# What is alike in the requests of most spiders, what is most frequent last. Another text needs another MARK: what was
# packed with this one may be in a queue for weeks.
_COMMON = (
    b'"encoding":"gb18030""method":"POST""body":"cookies":{"flags":["cache-control":["dont_filter":true}"retry_times":1'
    b'"page_private":true"download_timeout":"redirect_times":1,"redirect_urls":["redirect_reasons":[302]"subpage"'
    b".aspx?id=.php?id=/index.php?page=/thread-/forum/gallery/album/photos/detail/article/topic/list/page/tag/html/2026/"
    b'.jpeg"]],[.webp"]],[.gif"]],[.png"]],[.jpg"]],["https://www.example.org/images/photos/uploads/2026/'
    b'{"url":"http://www.","callback":"parse_site","errback":"site_failed","meta":{"depth":1,"referrer_policy":"no-referr'
    b'er"},"cb_kwargs":{"about":{"rank":1,"domain":"www."},"depth":0}}'
    b'{"url":"rows://urls/","callback":"parse_rows","errback":"rows_failed","cb_kwargs":{"file":".csv","rows":[[1,["'
    b'"]]],"bad":[]}}"meta":{"handle_httpstatus_list":[404,410],"depth":1,"page_url":"cb_kwargs":{"page":2,"seen":[["fai'
    b'led":0}}"callback":"parse_list","errback":"list_failed","cb_kwargs":{}}{"url":"http://"}'
    b'.cn/.net/.org/.com/.html","callback":"parse_gallery","errback":"gallery_failed","headers":{"Referer":["https://www.'
    b'"]},"meta":{"depth":1,"page_url":"https://www."}}{"url":"https://www.'
)
MARK = b"\x01"  # JSON never begins with it


def pack(request: bytes) -> bytes:
    """*request*, which is JSON, in fewer bytes where it can be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _COMMON)
    packed = MARK + packer.compress(request) + packer.flush()
    return packed if len(packed) < len(request) else request


def unpack(value: bytes, max_size: int) -> bytes:
    """What `pack` was given; *value* itself if it was not packed, or would be more than *max_size* bytes."""
    if not value.startswith(MARK):
        return value
    unpacker = zlib.decompressobj(-15, _COMMON)
    try:
        request = unpacker.decompress(value[1:], max_size + 1)
    except zlib.error:
        return value
    return request if unpacker.eof and len(request) <= max_size else value
