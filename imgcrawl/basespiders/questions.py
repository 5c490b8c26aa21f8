"""Answers that ask something in the place of a list page or a gallery: who one is, how old one is, for a password."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import cast

from parsel import Selector
from scrapy.http import Response, TextResponse
from scrapy.http.request import NO_CALLBACK
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import failed_reason, is_page
from imgcrawl.basespiders.following import sent_to
from imgcrawl.basespiders.queries import is_broken
from imgcrawl.basespiders.sites import ListAddressesSpider
from imgcrawl.basespiders.walk import Walk
from imgcrawl.failures import reason_of
from imgcrawl.pages.busy import BUSY_TEXT, says_busy, says_not_yet, says_wrong
from imgcrawl.pages.login import Form, asks_age, asks_login, question_of
from imgcrawl.pages.outside import let_go, outside_loop, size_of
from imgcrawl.pages.visible import texts_of
from imgcrawl.webrequest import WebRequest

# What is said of a list page that asks, and what answers it.
QUESTIONS = {
    "login": "is a form to log in: the session has ended, or COOKIES_FILE is missing",
    "age_gate": "asks how old one is, which a cookie in COOKIES_FILE may answer",
}
LOOK_AGAIN = "once more"  # why a list page shows nothing: it may be for the moment
_SHORT = 20_000  # bytes of a page that says no more than that it has nothing
_LARGEST = 256 * 1024  # bytes of an error's page that is looked at; none of those that ask is as large
_MOST_LINKS = 15


def question_on(response: Response, *, is_first: bool) -> str:
    """What the page of *response*, a list page that shows nothing, asks: "login", "age_gate", or nothing.

    Unless it *is_first*, one with many links is the end of a list, whose foot may say who is to see it.
    """
    if not isinstance(response, TextResponse) or not is_page(response):
        return ""
    page = response.selector
    if not is_first and len(page.xpath(f"(//a/@href)[position() <= {_MOST_LINKS + 1}]")) > _MOST_LINKS:
        return ""
    return "login" if asks_login(page) else "age_gate" if asks_age(page) else ""


def is_busy(response: Response) -> bool:
    return says_busy(_text(response))


def lack_of(response: Response, *, is_first: bool, is_linked: bool) -> str:
    """Why a list page shows nothing: what it asks, "corrupt", or, unless it *is_first*, "error" where one before it
    *is_linked* to it and it says that something went wrong; `LOOK_AGAIN` where that, or a link to it, lets one expect
    more the next time."""
    if why := question_on(response, is_first=is_first) or ("corrupt" if is_broken(response) else ""):
        return why
    text = _text(response) if len(response.body) < _SHORT else "much"
    if is_linked and not is_first:
        return "error" if says_wrong(text) else LOOK_AGAIN
    return LOOK_AGAIN if says_not_yet(text) else ""


def _text(response: Response) -> str:
    """What a page of words alone says to its readers, or the beginning of what another one does."""
    page = cast("TextResponse", response)
    return " ".join(texts_of(page.selector, BUSY_TEXT)) if is_page(page) else page.text


async def asked_of_walk(
    spider: ListAddressesSpider, why: str, page: int, walk: Walk, found_on: Callable[[Response], list[str]]
) -> str:
    """*why* list page *page* shows nothing; or nothing, where it asks and is behind the last page.

    That is where no page of *walk*, which is before it, names it, and the one before, asked for again, shows something.
    """
    if why not in QUESTIONS or page <= max(walk.named, spider.first_page) or not spider.is_numbered():
        return why
    url = spider.numbered_address(page, walk)
    before = spider.numbered_address(page - 1, replace(walk, offset=walk.offset - len(walk.last)))
    request = WebRequest(before, meta={"task": "list"}, callback=NO_CALLBACK, **sent_to(before))
    try:
        answer = await spider.crawler.engine.download_async(request)
        shows = bool(await outside_loop(size_of(answer.body), found_on, answer))
        await let_go(answer)
    except Exception as error:
        spider.logger.info("%.500s: asked for again: %s", before, reason_of(error)[1])
        return why
    if not shows:
        return why
    asks = "asks to log in" if why == "login" else "asks how old one is"
    spider.logger.info("%.500s: list page %d %s; taken for the end of the list", url, page, asks)
    return ""


def asked_reason(failure: Failure, known: Collection[Form] = ()) -> str:
    """Why a page could not be had (`failed_reason`): "login" or "age_gate" where that is what its answer asks, whatever
    its status. Forms to log in that are *known* stand on pages that show something."""
    response = _answer(failure)
    if isinstance(response, TextResponse) and is_page(response) and len(response.body) <= _LARGEST:
        page: Selector = response.selector
        if asked := question_of(page, (), searched=True, known=known):
            return asked
    return failed_reason(failure)


def password_asked(failure: Failure) -> str:
    """What a server that wants a password is told with, as the end of a sentence; empty if it wants none."""
    response = _answer(failure)
    if response is None or response.status != 401:
        return ""
    said = b", ".join(response.headers.getlist("WWW-Authenticate")).decode("latin-1")
    if "basic" in said.lower():
        return "; it asks for a password: HTTPAUTH_USER, HTTPAUTH_PASS and HTTPAUTH_DOMAIN, or others than these"
    kind = said.partition(" ")[0]
    return f"; it asks for a password by {kind!r:.40}, and HTTPAUTH_USER sends Basic only" if kind else ""


def _answer(failure: Failure) -> Response | None:
    return failure.value.response if isinstance(failure.value, HttpError) else None
