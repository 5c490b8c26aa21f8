"""A site of which nobody has said anything but where it begins: what its pages repeat is taken for declarations."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from typing import Any

from scrapy.core.scheduler import Scheduler
from scrapy.http import Response, TextResponse
from scrapy.http.request import NO_CALLBACK
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import content_type, is_page, request_of
from imgcrawl.basespiders.enlarged import EnlargedGallerySpider
from imgcrawl.basespiders.following import sent_to
from imgcrawl.basespiders.losses import was_stopped
from imgcrawl.basespiders.questions import QUESTIONS, asked_reason
from imgcrawl.basespiders.walk import Walk
from imgcrawl.pages import find_images
from imgcrawl.pages.login import question_of
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.pages.pagination import Pagination, propose_pagination
from imgcrawl.pages.proposals import GalleryImages, UnsureError, propose_galleries, propose_images
from imgcrawl.pages.repeated import PagePlaces
from imgcrawl.webrequest import WebRequest

SAMPLE = 3  # galleries whose pages are looked at before the walk begins


class ProposedGallerySpider(EnlargedGallerySpider):
    """Walks a site without `gallery_links` by what its first list page and some galleries repeat.

    What is taken is said in one line of the log, ready to be pasted as declarations. What was declared is not guessed.
    Where it is not sure what the galleries are, the crawl ends with a sentence (`report`); where it is not sure about
    the images, they are searched for on the whole page.

    Raises nothing; workers that share a crawl have no part in what one of them guesses, so there it ends with a
    sentence, too.
    """

    async def start(self) -> AsyncIterator[Any]:
        if self.list_url and not self.gallery_links:
            address = self.first_address()
            # A crawl that goes on another day has to look again: what was taken is not kept.
            sent = sent_to(address)
            yield WebRequest(address, self.parse_unknown, errback=self.unknown_failed, dont_filter=True, **sent)
            return
        async for request in super().start():
            yield request

    def unknown_failed(self, failure: Failure) -> None:
        if not was_stopped(failure):
            url, reason = request_of(failure).url, asked_reason(failure)
            self.report(f"{url}: the start page {QUESTIONS.get(reason) or f'could not be had ({reason})'}")

    async def parse_unknown(self, response: Response) -> AsyncIterator[Any]:
        # Its metaclass takes any scheduler for an instance.
        if Scheduler not in type(self.crawler.engine.scheduler).__mro__:
            self.report(
                f"{self.name}: one worker guesses what galleries and images are; crawl once without --workers and "
                'REDIS_URL: its line "Taken from what the pages … repeat" has the -a to give here'
            )
            return
        if not isinstance(response, TextResponse) or not is_page(response):
            self.report(f"{response.url}: no page but {content_type(response)}; say what the galleries are")
            return
        size = size_of(response.body)
        try:
            page = await outside_loop(size, _places, response)
            links = await outside_loop(size, propose_galleries, page)
        except UnsureError as error:
            asked = await outside_loop(size, _question_of, response)
            asks = f"{response.url}: the start page {QUESTIONS[asked]}; else" if asked else f"{error};"
            self.report(f"{asks} say it with -a galleries=XPATH_OR_CSS")
            return
        galleries = [self.at_home(address) for address in links.addresses]
        self.gallery_links = links.css
        if not re.search(r"\{(page|offset|token)", self.list_url + self.list_post):
            self.take_pagination(response.url, await outside_loop(size, propose_pagination, page))
        if not (self.image_links or self.image_page_links):
            sampled = await asyncio.gather(*(self.sample(address, response.url) for address in galleries[:SAMPLE]))
            pages = [each for each in sampled if each]
            size += sum(len(each.body) for each in pages)
            self.take_images(await outside_loop(size, _proposed_images, response, pages, galleries))
        searched = "" if self.image_links else " (images are searched for)"  # the rest is to be pasted, to its end
        self.logger.info(
            "Taken from what the pages of %.500s repeat%s: %s", response.url, searched, self.declarations()
        )
        walk = Walk(may_stop=await self.walk_begins())
        async for output in self.parse_list(response, page=self.first_page, walk=walk.to_wire()):
            yield output

    async def sample(self, url: str, page: str) -> TextResponse | None:
        """The page of a gallery that *page* names, if it can be had."""
        try:
            request = WebRequest(url, callback=NO_CALLBACK, meta={"task": "subpage", "page_url": page})
            answer = await self.crawler.engine.download_async(request)
        except Exception as error:  # what it is, is told where the gallery is asked for as one
            self.logger.debug("%.500s: %.500s", url, error)
            return None
        return answer if isinstance(answer, TextResponse) and is_page(answer) and answer.status < 300 else None

    def take_pagination(self, url: str, found: Pagination | None) -> None:
        if found and found.list_url and not self.next_link:
            self.list_url, self.first_page, self.page_size = found.list_url, found.first, found.per_page
        else:
            self.list_url = url.replace("{", "{{").replace("}", "}}")
            self.next_link = self.next_link or (found.next_link if found else "")
        self.forget_addresses()

    def take_images(self, found: GalleryImages) -> None:
        self.image_links, self.image_page_links = found.images, found.image_pages

    def declarations(self) -> str:
        """The declarations that hold now, as on a command line."""
        options: dict[str, str] = {
            "list": self.list_url,
            "post": self.list_post,
            "first": "" if self.first_page == 1 else str(self.first_page),
            "per_page": str(self.page_size or ""),
            "next": self.next_link,
            "galleries": self.gallery_links,
            "gallery_next": self.gallery_next_link,
            "image_pages": self.image_page_links,
            "images": self.image_links,
            **self.more_declarations(),
        }
        return " ".join(f"-a {shlex.quote(f'{name}={value}')}" for name, value in options.items() if value)

    def more_declarations(self) -> dict[str, str]:
        """What a kind of gallery declares besides."""
        return {}


def _proposed_images(start: TextResponse, pages: list[TextResponse], galleries: list[str]) -> GalleryImages:
    shown = find_images(start.text, start.url, start.encoding)
    return propose_images([_places(each) for each in pages], galleries, shown)


def _question_of(start: TextResponse) -> str:
    return question_of(start.selector, find_images(start.text, start.url, start.encoding), searched=True)


def _places(response: TextResponse) -> PagePlaces:
    return PagePlaces(response.selector, response.url, response.encoding)
