"""Pages that lead to others: what is asked for there is a request of its own, and the page stays the one that is done.

What is kept here is not in `meta`, which travels and which spiders copy.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary, WeakSet

from scrapy import Request

_pages: WeakKeyDictionary[Request, Request] = WeakKeyDictionary()
_leading: WeakSet[Request] = WeakSet()  # not retried while the answer of where they led to comes through


def page_of(request: Request) -> Request:
    """The request that the engine took from its scheduler, where *request* was followed from it; else *request*."""
    return _pages.get(request, request)


def lead(request: Request, redirected: Request) -> None:
    """*redirected* is asked for in the place of *request*, which is not retried itself: that has been done there."""
    _pages[redirected] = page_of(request)
    if request in _leading:  # it leads on once more
        redirected.meta.pop("dont_retry", None)
    if not request.meta.get("dont_retry"):
        request.meta["dont_retry"] = True  # which all middlewares know
        _leading.add(request)


def settle(request: Request, result: object) -> None:
    """All middlewares are done with *request*, of which came *result*: a request, if it is asked for once more."""
    if request in _leading:  # who asks for it again has it retried as before
        _leading.discard(request)
        request.meta.pop("dont_retry", None)
    if isinstance(result, Request) and request in _pages:
        _pages[result] = _pages[request]
