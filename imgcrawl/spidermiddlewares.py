"""What every request and item of a spider carries along."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from itemadapter import ItemAdapter
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import HtmlResponse, Response
from scrapy.settings import BaseSettings
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware

from imgcrawl.downloadermiddlewares.addressguard import came_from_private
from imgcrawl.exceptions import InputError
from imgcrawl.optouts import KNOWN, in_headers, in_page, may_have_some
from imgcrawl.pages.tags import base_of
from imgcrawl.referrers import may_have_policy, stated_policy
from imgcrawl.signalmanager import PART_READ

_REMEMBERED = 10_000  # pages


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


@dataclass(frozen=True)
class OptOuts:
    """To which name a site speaks to us, and which of `imgcrawl.optouts.KNOWN` are obeyed.

    Settings: ``ROBOTSTXT_USER_AGENT`` (or USER_AGENT up to its slash), and ours: ``OPT_OUTS_OBEYED``. Raises
    `InputError`.
    """

    agent: str
    words: tuple[str, ...]

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> Self:
        words = tuple(settings.getlist("OPT_OUTS_OBEYED", ["noai", "noimageai", "tdm-reservation"]))
        if unknown := set(words) - set(KNOWN):
            raise InputError(f"OPT_OUTS_OBEYED has {min(unknown)!r}: expected some of {', '.join(KNOWN)}")
        return cls(settings["ROBOTSTXT_USER_AGENT"] or settings["USER_AGENT"].partition("/")[0], words)

    def obeyed(self, said: list[str]) -> str | None:
        """The first of *said* that is obeyed."""
        return next((word for word in said if word in self.words), None)


class OptOutsMiddleware(BaseSpiderMiddleware):
    """Notes in an item's `opt_outs` what its page says against the use of its content (`imgcrawl.optouts`); and in
    `opt_outs_of_pages`, by their address, what others of its `image_pages` say besides: that is said of their images.

    Its page is the one it was made from, or `url`. An item without such a field is left alone; a dict
    gets it only if there is something to say. Which opt-outs are obeyed is for the pipeline to decide (`OptOuts`).
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._agent = OptOuts.from_settings(crawler.settings).agent
        self._said: OrderedDict[str, list[str]] = OrderedDict()  # only pages that say something
        crawler.signals.connect(self.process_spider_input, PART_READ)

    def process_spider_input(self, response: Response) -> None:
        if said := opt_outs_of(response, self._agent):
            _remember(self._said, response, said)

    def get_processed_item(self, item: Any, response: Response | None) -> Any:
        own, parts = _said_of(self._said, item, response)
        if said := {word for words in own.values() for word in words}:
            _note(item, "opt_outs", [word for word in KNOWN if word in said])
        if others := {page: words for page, words in parts.items() if not said.issuperset(words)}:
            _note(item, "opt_outs_of_pages", others)
        return item


class ReferrerPolicyMiddleware(BaseSpiderMiddleware):
    """Notes in an item's `referrer_policy` what its page says of the Referer that its images are to be asked for with
    (`imgcrawl.referrers`), if that is less than its address; and in `referrer_policies`, by their address, what others
    of its `image_pages` say, where that differs. An item without such a field is left alone.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._said: OrderedDict[str, str] = OrderedDict()  # only pages that say something, and parts of others
        crawler.signals.connect(self._part_read, PART_READ)

    def process_spider_input(self, response: Response) -> None:
        if policy := _policy_of(response):
            _remember(self._said, response, policy)

    def _part_read(self, response: Response) -> None:
        _remember(self._said, response, _policy_of(response))

    def get_processed_item(self, item: Any, response: Response | None) -> Any:
        own, parts = _said_of(self._said, item, response)
        policy = next(filter(None, own.values()), "")
        if policy:
            _note(item, "referrer_policy", policy)
        if others := {page: said for page, said in parts.items() if said != policy}:
            _note(item, "referrer_policies", others)
        return item


def _remember(said: OrderedDict[str, Any], response: Response, new: Any) -> None:
    said[response.url] = new
    if len(said) > _REMEMBERED:
        said.popitem(last=False)


def _said_of(said: OrderedDict[str, Any], item: Any, response: Response | None) -> tuple[dict[str, Any], ...]:
    """What the page of *item*, and those of its images, have *said*, by their addresses."""
    if not said:
        return {}, {}
    adapter = ItemAdapter(item)
    pages = [response.url if response else None, adapter.get("url")], adapter.get("image_pages") or ()
    return tuple({page: said[page] for page in each if isinstance(page, str) and page in said} for each in pages)


def _note(item: Any, field: str, value: Any) -> None:
    # An item of a class of one's own may not have the field.
    with suppress(KeyError, AttributeError):
        ItemAdapter(item)[field] = value


def _policy_of(response: Response) -> str:
    page = response.selector if isinstance(response, HtmlResponse) and may_have_policy(response.body) else None
    headers = [value.decode("latin-1") for value in response.headers.getlist("Referrer-Policy")]
    base = base_of(page, response.url) if page is not None else ""
    return stated_policy(headers, page, base) if headers or page is not None else ""


def opt_outs_of(response: Response, agent: str) -> list[str]:
    """What an answer says against its use, to the product token *agent*: in its headers and, if it is a page, in it."""
    page = response if isinstance(response, HtmlResponse) and may_have_some(response.body) else None
    if not page and b"X-Robots-Tag" not in response.headers and b"Tdm-Reservation" not in response.headers:
        return []
    tags, tdm = (
        [value.decode("latin-1") for value in response.headers.getlist(name)]
        for name in ("X-Robots-Tag", "tdm-reservation")
    )
    said = set(in_headers(tags, tdm, agent))
    if page:
        said.update(in_page(page.selector, agent))
    return [word for word in KNOWN if word in said]
