"""The replicas of lists: a file of rows for the spider, and the hosts that the addresses in it lead to."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from imgcrawl.demo.site import Site, SiteGallery, SiteImage


class ListSite(Site):
    """A list file and an image host. The addresses in the list are those of the real hosts; `base` moves them here."""

    noun = "rows"

    def arguments(self) -> dict[str, str]:
        return {"base": self.hosts.image, "file": next(iter(self.lists()))}

    def page(self, request: web.Request) -> web.Response | None:
        return None

    def row(self, place: str, images: tuple[SiteImage, ...], names: tuple[str, ...], **fields: Any) -> SiteGallery:
        """The row at *place*, whose images are called *names* there."""
        told = {f"{self.media}_names": list(names), f"{self.media}_pages": [None] * len(images)} if images else {}
        return SiteGallery(place, "", images, fields={**fields, **told})
