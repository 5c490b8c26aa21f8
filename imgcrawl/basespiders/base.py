"""What every spider here shares: its options, its pages' selectors and how it says what went wrong."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar, NamedTuple, cast
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from parsel import Selector
from scrapy import Request
from scrapy.http import JsonResponse, Response, TextResponse
from scrapy.utils.log import failure_to_exc_info
from twisted.python.failure import Failure

from imgcrawl.basespiders.losses import lost_gallery
from imgcrawl.basespiders.picked import PickedSpider
from imgcrawl.basespiders.queries import each, is_broken, links_in, said
from imgcrawl.basespiders.trials import check_time
from imgcrawl.exceptions import InputError, record_fatal_error
from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery
from imgcrawl.lines import printable
from imgcrawl.pages import images_in
from imgcrawl.pages.candidates import is_empty
from imgcrawl.pages.markup import html_in
from imgcrawl.pages.tags import base_of
from imgcrawl.possessive import compile_late
from imgcrawl.samples import samples_of
from imgcrawl.urls import absolute

logger = logging.getLogger(__name__)
_WITH_USER = compile_late(r"https?://[^\s/?#,@]*+@", re.IGNORECASE)


class Option(NamedTuple):
    """An option of a spider as `scrapy options` shows it. *default* is None where there is none."""

    name: str
    meaning: str
    default: str | None
    required: bool


class BaseSpider(PickedSpider):
    """A spider whose options are declared.

    `options` maps each option that `-a name=value` may set to what it means; a subclass adds its own to those
    of its bases. An option's default is the class attribute of the same name; `required` names those that must
    be given. `custom_settings` adds to those of the bases, too. `item_class` is what the spider yields, and
    `media` what is in it: the item's fields are `image_urls` and `images` for "image".

    Names that begin with an underscore are notes of whoever started the spider, as Scrapyd's `_job`: attributes only.

    Raises `InputError` for an option that is not declared, for one that is required and missing, and for an address
    with a user and a password in it.
    """

    options: ClassVar[dict[str, str]] = {
        "base": "scheme, host and port to crawl in place of the site's own (a replica, a mirror): http://127.0.0.1:8000",
    }
    required: ClassVar[tuple[str, ...]] = ()
    base: str | None = None

    item_class: type[Gallery] = Gallery
    media = "image"
    restored: ClassVar[frozenset[str]] = frozenset()  # meta keys and headers that `received` puts back

    def __init__(self, **arguments: Any) -> None:
        known = self.all_options()
        for argument, value in arguments.items():
            if argument not in known and not argument.startswith("_"):
                raise InputError(
                    f"-a {argument}={value}: {self.name} has no option {argument!r}; it has {', '.join(known)}"
                )
            if isinstance(value, str) and _WITH_USER.search(value):
                raise InputError(
                    f"-a {printable(f'{argument}={value}')}: addresses with a user and a password are not asked for, as"
                    " these would be in feeds; expected it without, and HTTPAUTH_USER, HTTPAUTH_PASS, HTTPAUTH_DOMAIN;"
                    " a list may come from another program: -a file=-"
                )
        for option in self.required:
            if not arguments.get(option):
                raise InputError(f"{self.name} needs -a {option}=…: {known[option]}")
        super().__init__(**arguments)
        # Pages, read in a thread, and the authors' pictures that were left out there: until they are counted.
        self.author_pictures: deque[tuple[str, set[str]]] = deque()
        if self.base is not None:
            self.base = _checked_base(self.base)

    @classmethod
    def all_options(cls) -> dict[str, str]:
        """Every option of this spider with its meaning: its own first, then those of its bases."""
        known: dict[str, str] = {}
        for kind in cls.__mro__:
            for option, meaning in vars(kind).get("options", {}).items():
                known.setdefault(option, meaning)
        return known

    @classmethod
    def described_options(cls) -> list[Option]:
        """Every option of this spider, as the code declares it."""
        return [
            Option(name, meaning, getattr(cls, name, None), name in cls.required)
            for name, meaning in cls.all_options().items()
        ]

    def at_least_one(self, option: str) -> int | None:
        """The value of a numeric *option*, or None where it is not given. Raises `InputError`."""
        return None if getattr(self, option) is None else self.whole_number(option, 1)

    def whole_number(self, option: str, least: int = 0) -> int:
        """The value of a numeric *option*. Raises `InputError` if it is none, or less than *least*."""
        value = str(getattr(self, option)).strip()
        if not value.isdecimal() or len(value) > 15 or int(value) < least:
            raise InputError(f"-a {option}={value}: expected a whole number, {least} or more")
        return int(value)

    def report(self, sentence: str) -> None:
        """Say in one *sentence* why this crawl does not do what it should. The first one is the crawl's verdict."""
        self.logger.error(sentence)
        record_fatal_error(self.crawler.stats, sentence)

    # What comes from the shared queue

    def fed_request(self, request: Request) -> Request:
        """What is asked for when the address of *request* is fed from outside (`<spider>:start_urls`)."""
        return request

    def received(self, request: Request) -> None:
        """Put back into *request*, which comes from the shared queue, what does not travel (`restored`).

        Raises ValueError for one that this spider cannot have made.
        """

    # ITEM

    def new_item(self, url: str) -> Gallery:
        """An item that came from *url* and has nothing in it yet."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        media: dict[str, list[Any]] = {f"{self.media}_urls": [], f"{self.media}s": []}
        return self.item_class(spider=self.name, url=url, scraped_at=now, **media)

    def scraped(self, item: Gallery) -> Gallery:
        """*item*, counted as one that was scraped."""
        self.crawler.stats.inc_value("gallery/count")
        if not item[f"{self.media}_urls"]:
            self.crawler.stats.inc_value("gallery/empty")
            samples_of(self.crawler).add("gallery/empty", item["url"])
        while self.author_pictures:
            page, pictures = self.author_pictures.popleft()
            self.crawler.stats.inc_value("gallery/author_pictures", len(pictures))
            samples_of(self.crawler).add("gallery/author_pictures", min(pictures), page)
        return item

    def failed(self, item: Gallery, reason: str) -> Gallery:
        """*item*, counted as one whose page could not be had; its `error` says why."""
        lost_gallery(self, item["url"], reason)
        item["error"] = reason
        return item


# ---- reading pages --------------------------------------------------------------------------------------


def is_page(response: Response) -> bool:
    """Whether *response* is text that selectors can read."""
    return isinstance(response, TextResponse) and not isinstance(response, JsonResponse)


def is_readable(response: Response) -> bool:
    """Whether *response* is a page, or JSON, which queries in JMESPath can read."""
    return isinstance(response, TextResponse)


def select(page: Response | Selector, query: str) -> list[str]:
    """The texts that *query*, XPath or CSS, finds on *page*, in order.

    A query that begins with `/`, `./` or `(` is XPath; for a page that is JSON it is JMESPath. Of an element that it
    finds, and not a text or an attribute, the `href` or `src` counts, or else its text. Raises ValueError.
    """
    return [said(node) for node in nodes(page, query)]


def nodes(page: Response | Selector, query: str) -> Iterator[Selector]:
    """What *query*, XPath or CSS as in `select`, finds on *page*, in order. Raises ValueError.

    On JSON, what JMESPath does not find is searched for in the HTML in its texts. Raises what `check_time` does.
    """
    if not isinstance(page, JsonResponse):
        check_time(page, query)
        try:
            yield from each(page, query)
        except (ValueError, SyntaxError, RuntimeError):  # the last two are cssselect's
            if not is_jmespath(query):  # which is for other pages
                raise
        return
    readable = is_jmespath(query) and not is_broken(page)
    if readable and (found := [node for node in page.jmespath(query) if node.root is not None]):
        yield from found
        return
    with suppress(ValueError, SyntaxError, RuntimeError):  # it is JMESPath; the last two are cssselect's
        for part in html_in(page.json()):
            yield from nodes(Selector(part), query)


def text_of(page: Response | Selector, *queries: str) -> str:
    """The text, on one line, of what the first of *queries* to find any finds first; or nothing."""
    for query in queries:
        if text := " ".join(" ".join(select(page, query)[:1]).split()):
            return text
    return ""


def is_jmespath(query: str) -> bool:
    """Whether *query* can be read as JMESPath."""
    try:
        return bool(jmespath.compile(query))
    except JMESPathError:
        return False


def words_of(page: Response | Selector, *queries: str) -> str:
    """As `text_of`, but of an element what is written in it, also where that is a link."""
    for query in queries:
        for node in islice(nodes(page, query), 1):
            is_element = node.type != "json" and not isinstance(node.root, str)
            if text := " ".join((node.xpath("string()").get("") if is_element else said(node)).split()):
                return text
    return ""


def addresses(response: Response, query: str, is_meant: Callable[[Any], bool] | None = None) -> list[str]:
    """The http(s) addresses that *query* finds, absolute, in order, each once; none to a place on the page itself.

    An element that is no link has those of the links in it; where there are several, *is_meant* says which."""
    base, encoding = base_and_encoding(response)
    links = (said(node) for node in links_in(nodes(response, query), is_meant) if not _is_dead_link(node))
    found = (absolute(base, link, encoding) for link in links if not is_empty(link))
    return list(dict.fromkeys(address for address in found if address))


def images(response: Response, query: str, copies: dict[str, str] | None = None) -> list[str]:
    """The addresses of the images that *query* finds on a page, absolute, in order, each once (`pages.images_in`).

    A query for attributes or texts means just these, also where they are of another scheme than http(s); in the
    elements that a query finds images are searched for.
    """
    base, encoding = base_and_encoding(response)
    return images_in(nodes(response, query), response.url, base, encoding, copies=copies)


def base_and_encoding(response: Response) -> tuple[str, str]:
    """What an address on a page is relative to, and the encoding of its query."""
    if not isinstance(response, TextResponse):
        return response.url, "utf-8"
    return base_of(response.text, response.url), response.encoding


def _is_dead_link(node: Selector) -> bool:
    return getattr(node.root, "tag", "") in ("a", "area") and not node.root.get("href", "").strip()


# ---- what went wrong ------------------------------------------------------------------------------------


def request_of(failure: Failure) -> Request:
    """The request that ended in *failure*: Scrapy hangs it on the failure given to an errback."""
    request: Request = failure.request  # type: ignore[attr-defined] # set by Scrapy, unknown to Twisted's types
    return request


def failed_reason(failure: Failure) -> str:
    """The reason of `items.REASONS`, or `http_NNN`, why a page could not be had. What nobody foresaw is logged."""
    reason = reason_of(cast("BaseException", failure.value))[1]
    if reason == "error":
        logger.error("%s: %.500s", type(failure.value).__name__, failure.value, exc_info=failure_to_exc_info(failure))
    return reason


def content_type(response: Response) -> str:
    return (response.headers.get("Content-Type") or b"of unknown type").decode("latin-1")


def _checked_base(base: str) -> str:
    try:
        parts = urlsplit(base)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InputError(f"-a base={base}: expected scheme, host and port only, as in http://127.0.0.1:8000")
    return f"{parts.scheme}://{parts.netloc}"
