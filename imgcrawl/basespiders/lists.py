"""LIST: how the list pages of a site are walked, whatever stands on them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple, cast
from urllib.parse import quote
from weakref import WeakKeyDictionary

from scrapy import Request
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response, TextResponse
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import addresses, content_type, is_page, is_readable, request_of, select
from imgcrawl.basespiders.fedlists import FedListsSpider
from imgcrawl.basespiders.following import asked_for, is_last_stated, next_on, next_unnamed, sent_to
from imgcrawl.basespiders.losses import lost_list, times_asked, was_stopped
from imgcrawl.basespiders.questions import (
    LOOK_AGAIN,
    QUESTIONS,
    asked_of_walk,
    asked_reason,
    is_busy,
    lack_of,
    password_asked,
)
from imgcrawl.basespiders.sites import EarlierWalksSpider
from imgcrawl.basespiders.walk import Walk
from imgcrawl.exceptions import RequestRefused
from imgcrawl.identity import Identity
from imgcrawl.pages.login import Form, login_forms
from imgcrawl.pages.outside import let_go, outside_loop, size_of
from imgcrawl.pages.pagerforms import Posted
from imgcrawl.pages.pagination import leads_on
from imgcrawl.webrequest import WebRequest, as_first_asked

MAX_FORMS = 100  # to log in, that are remembered


class _Seen(NamedTuple):
    """What is on a list page: what was *found*, the largest page number that it has *named*, its forms to log in."""

    found: list[str]
    named: int
    forms: set[Form]
    why: str  # nothing was found, if that is known


class ListSpider(EarlierWalksSpider, FedListsSpider):
    """Walks list pages from `first_page` (1 unless the site counts otherwise) to the end of the list.

    The address `list_url`, or what is sent to it (`list_post`), has in it `{page}`; or `{offset}`, the number of
    entries before, counted by `page_size` or, where that is 0, by what the pages showed; or `{token}`, what `next_link`
    finds on the page before. Where it has none of them,
    `next_link` (XPath, CSS, or JMESPath for pages that are JSON) finds the address of the next page;
    without it that is the link that says `rel="next"`, or what headers and JSON call so, or else a link, a form or an
    attribute that says "next" or "older", or the number of that page, and leads to what looks like one of the list.

    The end is a page that answers 404 or 410, that has nothing on it, that shows only what the first page or the one
    before did, or that has no next one; or the page after `pages` pages. Some pages in a row that bring next to
    nothing new are the end, too. Where the site's own links name a later page, or a page without anything on it says
    that there were too many requests or links on, it is asked for again, and some more pages are looked at;
    what is missing then is the crawl's verdict. A first page that cannot be had or has nothing on it is the verdict.
    A later one that cannot be had is counted (`list/failed`) and passed over; three of them in a row end the walk.

    A kind of list says what is on a page: `found_on` and `read_list`.
    """

    next_link = ""
    most_known: int | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.login_forms: set[Form] = set()  # on list pages that showed something
        self._ends_asking = False  # the page taken for the end asks something: it may be none
        # By what the next page is found on a page, what that finds, and why it was not searched for.
        self._next: WeakKeyDictionary[Response, tuple[str, list[str], str]] = WeakKeyDictionary()

    async def start(self) -> AsyncIterator[Any]:
        first = self.first_address()
        walk = Walk(may_stop=await self.walk_begins())
        yield self.list_request(first, self.first_page, walk)

    def list_request(self, url: str, page: int, walk: Walk) -> Request:
        return WebRequest(
            url,
            callback=self.parse_list,
            errback=self.list_failed,
            **sent_to(url),
            cb_kwargs={"page": page, "walk": walk.to_wire()},
            # The end of a list is an answer, not an error; of the first page it is one.
            meta={"task": "list"}
            | ({} if page == self.first_page else {"handle_httpstatus_list": [404, 410], "once_a_run": True}),
        )

    async def parse_list(self, response: Response, page: int, walk: dict[str, Any]) -> AsyncIterator[Any]:
        before = Walk.from_wire(walk)
        goes_on = False
        async for output in self.walk_on(response, page, before):
            goes_on = goes_on or (isinstance(output, Request) and output.meta.get("task") == "list")
            yield output
        if not goes_on:
            self.walk_ends(whole=not (before.lacks or before.failed or self._ends_asking))

    async def walk_on(self, response: Response, page: int, before: Walk) -> AsyncIterator[Any]:
        """What comes of list page *page*, and the request for the next one, unless the walk ends."""
        if response.status in (404, 410) or not is_readable(response):
            for request in self.without_page(response, page, before):
                yield request
            return
        self.crawler.stats.inc_value("list/count")
        size = size_of(response.body)
        try:
            seen = await outside_loop(size, self.look_at, response, page, before.offset)
        except RequestRefused as refusal:  # what is declared takes too long on it
            self.logger.info("%.500s: %s", response.url, refusal)
            for request in self.list_lost(cast("Request", response.request), refusal.reason):
                yield request
            return
        found = seen.found
        known = await self.known_on(found)
        after = partial(before.after, asks=bool(seen.forms))
        are_known = (address in known for address in found)
        step = await outside_loop(size, after, map(self._identity.of, found), seen.named, are_known)
        # What is pinned may stand around what says that there were too many requests.
        busy = not step.brings_new and await outside_loop(size, is_busy, response)
        if not found or busy:
            asks = "login" if seen.forms and not before.asks else ""  # some sites ask on each page
            why = asks or ("busy" if busy else await asked_of_walk(self, seen.why, page, before, self.found_on))
            self._ends_asking = seen.why in QUESTIONS and not why
            for request in self.without_any(response, page, before.without(seen.named), why=why):
                yield request
            return
        if step.brings_new:
            self.login_forms |= seen.forms if len(self.login_forms) < MAX_FORMS else set()
            if picked := await outside_loop(size, self.picked, found, page, before):
                async for output in self.read_list(response, picked):
                    yield output
        if self.is_last(page) or step.walk.ends_known(self.most_known) or self.is_behind_range(page, step.walk):
            return
        brings_little = step.walk.barren > 0 or step.walk.sparse > 0
        links_on = brings_little and not self.is_numbered() and self.next_address(response, page, step.walk)
        if not step.goes_on(page, links_on=bool(links_on), first=self.first_page):
            self.tell_end(response, page, step.walk)
            return
        for request in self.next_request(response, page, step.walk):
            yield request
        await let_go(response)

    def look_at(self, response: Response, page: int, offset: int) -> _Seen:
        """What is on list page *page*, which has *offset* entries before it."""
        forms = login_forms(cast("TextResponse", response).selector) if is_page(response) else set()
        found = self.found_on(response)
        if not self.is_numbered():
            self._names_next(response, page, found)
        is_first = page == self.first_page
        why = "" if found else lack_of(response, is_first=is_first, is_linked=not self.is_numbered())
        return _Seen(found, self.last_named(response, page, offset, len(found)), forms, why)

    # The end, and what only looks like it

    def without_page(self, response: Response, page: int, walk: Walk) -> Iterator[Any]:
        """An answer that is no list page: the end of the list, unless its own links name a later page, or an error."""
        if response.status not in (404, 410):
            yield from self.list_lost(cast("Request", response.request), f"no page but {content_type(response)}")
        elif page < walk.named:
            yield from self.list_lacks(response, page, walk.without(), f"http_{response.status}", again=False)

    def without_any(self, response: Response, page: int, walk: Walk, *, why: str) -> Iterator[Any]:
        """A page with nothing new on it: the end of the list, unless something says that it is not."""
        if why in QUESTIONS:
            self.report(f"{response.url}: list page {page} {QUESTIONS[why]}")
            if self.first_page < page < walk.named:  # it may ask for this page only
                yield from self.list_lacks(response, page, walk, why, again=False)
            return
        links_on = bool(self.next_address(response, page, walk)) and not self.is_numbered()
        if why not in ("", LOOK_AGAIN) or links_on or page < walk.named:
            yield from self.list_lacks(response, page, walk, why.replace(LOOK_AGAIN, "") or "nothing", again=True)
        elif why and not times_asked(request := cast("Request", response.request)):
            yield from filter(None, [self.asked_again(request, page, "list_nothing")])
        elif page == self.first_page:
            self.report(f"{response.url}: page one has {self.looked_for()}")

    def list_lacks(self, response: Response, page: int, walk: Walk, reason: str, *, again: bool) -> Iterator[Any]:
        """A page that should show something does not: *again* is tried, then the walk looks past it."""
        request = cast("Request", response.request)
        if again and (once_more := self.asked_again(request, page, f"list_{reason}")):
            yield once_more
        elif page == self.first_page:
            self.report(f"{response.url}: page one has {self.looked_for()}" + f" ({reason})" * (reason != "nothing"))
        else:
            lost_list(self, response.url, reason, f"{response.url:.500}: list page {page} shows nothing ({reason})")
            if walk.failed < walk.patience(page) and not self.is_last(page):
                yield from self.next_request(response, page, walk)
            else:
                self.tell_end(response, page, walk)

    def asked_again(self, request: Request, page: int, reason: str) -> Request | None:
        """List page *page* once more, without what a downloader noted in *request*; None after RETRY_TIMES times."""
        asked = request.replace(meta={**request.meta, "retry_times": times_asked(request)})
        if not (retry := get_retry_request(asked, spider=self, reason=reason, give_up_log_level=logging.DEBUG)):
            return None
        made = self.list_request(asked_for(as_first_asked(request)), page, Walk.from_wire(request.cb_kwargs["walk"]))
        made.meta["retry_wait"] = retry.meta["retry_times"]
        return made.replace(priority=retry.priority, dont_filter=True)

    def list_failed(self, failure: Failure) -> Iterator[Any]:
        if not was_stopped(failure):
            reason = asked_reason(failure, self.login_forms)
            yield from self.list_lost(request_of(failure), reason, password_asked(failure))

    def list_lost(self, request: Request, reason: str, more: str = "") -> Iterator[Any]:
        page, walk = request.cb_kwargs["page"], Walk.from_wire(request.cb_kwargs["walk"]).without()
        if reason in QUESTIONS:
            self.report(f"{request.url}: list page {page} {QUESTIONS[reason]}")
        if page == self.first_page:
            self.report(f"{request.url}: the start page could not be had ({reason}){more}")
            return
        lost_list(self, request.url, reason, f"{request.url:.500}: list page {page} could not be had ({reason})")
        if not self.is_numbered():
            self.report(f"the walk ended at list page {page}, which could not be had ({reason}): {request.url}")
        elif walk.failed < walk.patience(page) and not self.is_last(page):
            yield self.list_request(self.numbered_address(page + 1, walk), page + 1, walk)
        else:
            self.tell_end(None, page, walk)

    def tell_end(self, response: Response | None, page: int, walk: Walk) -> None:
        """The walk ends at *page* for what its pages show, not because the list says so."""
        if page < walk.named:
            self.report(f"the walk ended at list page {page}, before the site's own last one, {walk.named}")
        elif walk.is_in_doubt(page):
            self.report(
                f"the walk ended at list page {page} on suspicion: some pages in a row brought next to nothing new; if "
                "the list goes on, leave out of its selector what stands on every page"
            )
        elif walk.barren > 1 and response:
            self.logger.info("%.500s: %d list pages brought next to nothing new: the end", response.url, walk.barren)

    def picked(self, found: list[str], page: int, before: Walk) -> list[str]:
        """What of *found*, on list page *page*, is within `galleries_range`."""
        if not self.galleries_range.parts:
            return found
        numbers = zip(found, before.numbers(map(self._identity.of, found)), strict=True)
        return [address for address, number in numbers if number and number in self.galleries_range]

    def is_behind_range(self, page: int, walk: Walk) -> bool:
        """Whether all behind list page *page* is behind the end of `galleries_range`."""
        return walk.counted >= self.galleries_range.end

    def is_last(self, page: int) -> bool:
        return self.max_pages is not None and page - self.first_page + 1 >= self.max_pages

    @cached_property
    def _identity(self) -> Identity:
        return Identity.of_pages(self.crawler.settings)

    # The next page

    def next_request(self, response: Response, page: int, walk: Walk) -> Iterator[Request]:
        address = self.next_address(response, page, walk)
        if address:
            yield self.list_request(address, page + 1, walk)
        elif refusal := self._next.get(response, ("", [], ""))[2]:
            self.report(f"the walk ended at list page {page}, {response.url:.500}: {refusal}")
        elif page == self.first_page and (reason := next_unnamed(response, walk.offset)):
            self.report(f"the walk ended at list page {page}, {response.url:.500}: {reason}")
        elif page == self.first_page and not self.next_link:
            self.logger.info(
                "%.500s: one list page was read: its address has no {page}, and it names no next", response.url
            )

    def next_address(self, response: Response, page: int, walk: Walk) -> str:
        """The address of the page after *page*; empty where there is none."""
        if self.is_numbered():
            return self.numbered_address(page + 1, walk)
        following = self._names_next(response, page)
        if "{token}" in self.list_url + self.list_post:
            token = next(filter(None, following), "")
            return self.list_address(page + 1, token=quote(token, safe=""), offset=walk.offset) if token else ""
        others = (each for each in following if isinstance(each, Posted) or each != response.url)
        return next((each if isinstance(each, Posted) else self.at_home(each) for each in others), "")

    def _names_next(self, response: Response, page: int, shown: Collection[str] = ()) -> list[str]:
        """What on a page names the next one: searched for once, in a thread where the page is large."""
        query, found, refused = self._next.get(response, (None, [], ""))
        if query != self.next_link and not is_last_stated(response):
            try:
                if "{token}" in self.list_url + self.list_post:
                    found = select(response, self.next_link) if self.next_link else []
                elif not self.next_link:
                    found = next_on(response, page - self.first_page + 1, shown)
                elif is_readable(response):
                    found = addresses(response, self.next_link, leads_on)
            except RequestRefused as refusal:  # the galleries of the page are found all the same
                found, refused = [], str(refusal)
            self._next[response] = self.next_link, found, refused
        return found
