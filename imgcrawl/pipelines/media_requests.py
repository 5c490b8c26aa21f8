"""From the addresses of an item to requests, each with the path its image asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote

from itemadapter import ItemAdapter
from scrapy import Request, Spider
from scrapy.http import Headers
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.misc import arg_to_iter
from scrapy.utils.url import strip_url

from imgcrawl.bodies import MediaRequest
from imgcrawl.catalogue import Record
from imgcrawl.identity import Identity
from imgcrawl.images.names import (
    FILE_NAME,
    UNTITLED,
    PathTemplate,
    distinct,
    path_for,
    safe_name,
    safe_path,
    strip_extension,
)
from imgcrawl.optouts import KNOWN, reason_of_opt_out
from imgcrawl.pipelines.galleryfilters import GalleryFilters
from imgcrawl.pipelines.settings import PER_IMAGE
from imgcrawl.referrers import referer_by
from imgcrawl.spidermiddlewares import OptOuts
from imgcrawl.urls import WEB, has_a_host, host_of, last_part, slug_of

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.pipelines.images import ImagesPipeline
    from imgcrawl.pipelines.settings import PipelineSettings

NO_ADDRESS = "about:invalid"  # stands for what cannot be asked for


class Prepared(NamedTuple):
    """What follows from all addresses of an item: the path that each asks for, and `Identity.of_all` of them."""

    paths: list[str]
    known_as: dict[str, str]


class MediaRequests:
    """Makes the requests for the images of an item.

    *template* names the files; *names_field*, *pages_field* and *paths_field* are the item's fields that are parallel
    to its addresses: the image's own name, the page that shows it, and the path that it is to have in place of one
    that *template* makes. *accept* is the Accept header. What *identity* knows an address as is in the meta of its
    request (``image_known_as``), where that is not the address itself.
    """

    def __init__(
        self,
        template: str,
        opt_outs: OptOuts,
        galleries: GalleryFilters,
        identity: Identity,
        *,
        names_field: str,
        pages_field: str,
        paths_field: str,
        accept: str,
    ) -> None:
        self.template = template
        self._is_named = any(f"{{{field}" in template for field in PER_IMAGE - {"index"})
        self.opt_outs = opt_outs
        self.galleries = galleries
        self.identity = identity
        self.names_field = names_field
        self.pages_field = pages_field
        self.paths_field = paths_field
        self.accept = accept

    @classmethod
    def of_pipeline(
        cls, pipeline: ImagesPipeline | type[ImagesPipeline], config: PipelineSettings, settings: BaseSettings
    ) -> Self:
        """Those of a *pipeline*, with its *config* of *settings*."""
        return cls(
            config.name,
            OptOuts.from_settings(settings),
            config.galleries,
            Identity.of_images(settings),
            names_field=pipeline.NAMES_FIELD,
            pages_field=pipeline.PAGES_FIELD,
            paths_field=pipeline.PATHS_FIELD,
            accept=pipeline.ACCEPT,
        )

    def of(self, adapter: ItemAdapter, urls: Sequence[Any], prepared: Prepared, spider: str) -> Iterator[Request]:
        """The requests for *urls*, in their order; one that cannot be asked for has `image_refused` in its meta."""
        page = adapter.get("final_url") or adapter.get("url")  # what shows the images is where redirects led
        pages = adapter.get(self.pages_field) or []
        said, said_of_pages = adapter.get("opt_outs") or (), _dict(adapter.get("opt_outs_of_pages"))
        unwanted = self.galleries.reason(adapter)
        is_retried = "failed" in adapter  # its images are some of a gallery's
        named = self._item_fields(adapter, spider) if "{filename" in self.template else {}
        paths, known_as = prepared
        copies = adapter.get("image_copies")
        policy, of_pages = adapter.get("referrer_policy"), _dict(adapter.get("referrer_policies"))
        given, names = self._given_paths(adapter), adapter.get(self.names_field) or []
        for index, (url, path) in enumerate(zip(urls, paths, strict=True)):
            referer = pages[index] if index < len(pages) else page
            request = self._request(url, referer, path)
            _apply_referrer_policy(of_pages.get(referer, policy), request)
            if known_as and isinstance(url, str) and url in known_as:
                request.meta["image_known_as"] = known_as[url]
            if copies and isinstance(url, str) and url in copies:
                request.meta["image_copy"] = copies[url]
            if unwanted or not (index + 1 in self.galleries.images or is_retried):
                request.meta.setdefault("image_refused", unwanted or "range")
            self._apply_page_opt_outs((*said, *said_of_pages.get(referer, ())), request)
            if named and not _at(given, index):
                fields = named | self._image_fields(names, index, url) | {"filename": FILE_NAME}
                request.meta["image_path_by_server"] = path_for(self.template, fields)
            yield request

    def completed(
        self, adapter: ItemAdapter, requests: Iterable[Request] | Request | None, spider: str
    ) -> Iterator[Request]:
        """*requests* for the images of an item; one that a project has made itself with all that ours have and it has
        not."""
        for index, request in enumerate(arg_to_iter(requests)):
            if "image_path" not in request.meta:
                self._complete(adapter, request, index, spider)
            yield request

    def _complete(self, adapter: ItemAdapter, request: Request, index: int, spider: str) -> None:
        template = PathTemplate(self.template, self._item_fields(adapter, spider), PER_IMAGE)
        path = template.path(self._image_fields((), index, request.url))
        ours = self._request(request.url, adapter.get("final_url") or adapter.get("url"), path)
        _apply_referrer_policy(adapter.get("referrer_policy"), ours)
        unwanted = self.galleries.reason(adapter)
        if unwanted or not (index + 1 in self.galleries.images or "failed" in adapter):
            ours.meta["image_refused"] = unwanted or "range"
        self._apply_page_opt_outs(adapter.get("opt_outs") or (), ours)
        request.meta.update({**ours.meta, **request.meta})
        request.headers.update({**ours.headers, **request.headers})
        request.callback = NO_CALLBACK

    def _request(self, url: Any, referer: str | None, requested_path: str) -> Request:
        meta = {
            "media": True,
            "image_url": url,
            "image_path": requested_path,
            "allow_offsite": True,
            "download_warnsize": 0,
        }
        if referer:
            meta["page_url"] = referer
        no_address = isinstance(url, str) and not url.isascii() and url.startswith(WEB) and not has_a_host(url)
        try:  # to spell a host that cannot be one takes milliseconds
            request = MediaRequest("" if no_address else url, meta=meta, callback=NO_CALLBACK)
        except (ValueError, TypeError, UnicodeError):
            # No address, so no request; a stand-in keeps its place in the order.
            return Request(NO_ADDRESS, meta=meta | {"image_refused": "invalid_url"}, callback=NO_CALLBACK)
        request.headers = made = Headers()
        dict.update(made, {name: [*values] for name, values in dict.items(_headers(self.accept, referer or ""))})
        return request

    def of_page(self, request: Request, page: str | None, url: str) -> Request:
        """The request for *url*, which *page* shows, that is made in the place of *request*."""
        made = self._request(url, page, request.meta["image_path"])
        kept = {"image_url", "image_known_as", "image_path_by_server", "opt_outs"} & request.meta.keys()
        if page == request.meta.get("page_url"):
            _apply_referrer_policy(request.meta.get("image_referrer"), made)
        made.meta.update({name: request.meta[name] for name in kept}, image_of_page=True)
        return made

    def _apply_page_opt_outs(self, words: Collection[str], request: Request) -> None:
        """Refuse *request* for the *words* that its page said, or note what was said and is allowed."""
        if not words or not (said := [word for word in KNOWN if word in words]):
            return
        if obeyed := self.opt_outs.obeyed(said):
            request.meta["image_refused"] = reason_of_opt_out(obeyed)
        else:
            request.meta["opt_outs"] = said

    def prepared(self, adapter: ItemAdapter, urls: Sequence[Any], spider: str) -> Prepared:
        """What `of` is to know of all *urls*. Takes some microseconds for each."""
        return Prepared(self.paths(adapter, urls, spider), self.identity.of_all(urls))

    def paths(self, adapter: ItemAdapter, urls: Iterable[Any], spider: str) -> list[str]:
        """The path that each of *urls* asks for."""
        template = PathTemplate(self.template, self._item_fields(adapter, spider), PER_IMAGE)
        all_given, names = self._given_paths(adapter), adapter.get(self.names_field) or []
        paths = []
        for index, url in enumerate(urls):
            if given := _at(all_given, index):
                paths.append(safe_path(given))
            else:
                paths.append(template.path(self._image_fields(names, index, url)))
        return distinct(paths)

    def _given_paths(self, adapter: ItemAdapter) -> Sequence[str]:
        return adapter.get(self.paths_field) or []

    def _item_fields(self, adapter: ItemAdapter, spider: str) -> dict[str, Any]:
        fields = {
            name: value if isinstance(value, str | int | float) else str(value)  # as the catalogue will have it
            for name, value in adapter.items()
            if isinstance(value, str | int | float) or (f"{{{name}" in self.template and _is_simple(value))
        }
        fields.setdefault("spider", spider)
        if "{slug" in self.template:
            fields.setdefault("slug", slug_of(str(adapter.get("url") or "")))
        if safe_name(str(fields.get("title") or "")) == UNTITLED:
            fields["title"] = _title_of(str(adapter.get("url") or ""))
        return fields

    def _image_fields(self, names: Sequence[str], index: int, url: Any) -> dict[str, Any]:
        if not self._is_named:
            return {"index": index + 1}
        name = _at(names, index)
        basename = strip_extension(last_part(str(url)))
        return {
            "index": index + 1,
            "name": strip_extension(name) or basename,
            "basename": basename,
            "filename": basename,
            "host": host_of(str(url)) if "{host" in self.template else "",
        }


def _dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _is_simple(value: Any) -> bool:
    """Whether *value* is one: a date, a Decimal, a UUID."""
    return not (value is None or isinstance(value, list | tuple | dict) or ItemAdapter.is_item(value))


def _at(values: Sequence[str], index: int) -> str:
    return values[index] if index < len(values) else ""


def with_private_pages(requests: Iterable[Request], spider: Spider) -> Iterator[Request]:
    """*requests* for images that are tried again without their pages: where a page came from is not known by now, but
    the *spider* may know that of the machine that it is on (``is_own_private_page``)."""
    is_private = getattr(spider, "is_own_private_page", None)
    for request in requests:
        if is_private:
            request.meta["page_private"] = is_private(request.meta.get("page_url") or "", request.url)
        yield request


def make_conditional(request: Request, record: Record) -> None:
    """Ask only for what has changed since (RFC 9110, 13.1)."""
    if record.etag:
        request.headers["If-None-Match"] = record.etag
    if record.last_modified:
        request.headers["If-Modified-Since"] = record.last_modified


def _apply_referrer_policy(policy: Any, request: Request) -> None:
    """Let *request* have the Referer that the page which shows its image wants it to have."""
    if not policy or not isinstance(policy, str):
        return
    request.meta["image_referrer"] = policy
    if stated := request.headers.get("Referer"):
        del request.headers["Referer"]
        if referer := referer_by(policy, stated.decode("latin-1"), request.url):
            request.headers["Referer"] = referer


@lru_cache(64)  # a gallery's images have one page; to make them anew is half of what it takes to make a request
def _headers(accept: str, page: str) -> Headers:
    """Those of requests for images on *page*: its address is their Referer, without user, password and fragment (RFC
    9110, 10.1.3)."""
    referer = strip_url(page, strip_credentials=True, strip_default_port=False) if page.startswith(WEB) else ""
    return Headers({"Accept": accept, "Accept-Encoding": "identity"} | ({"Referer": referer} if referer else {}))


def _title_of(url: str) -> str:
    """What the folder of an item without a title is called: by the path and the query of its page, or by its host."""
    rest = re.sub(r"^[a-z]+://[^/?#]*", "", url.partition("#")[0], flags=re.IGNORECASE)
    return unquote(rest).strip("/ ") or host_of(url)
