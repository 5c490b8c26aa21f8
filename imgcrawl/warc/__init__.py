"""WARC files (ISO 28500) of what a crawl asked for and was answered. Only with WARC_FOLDER."""

from __future__ import annotations

from importlib.util import find_spec

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError


class Addon:
    """With WARC_FOLDER each request, and its answer, becomes a record in a file there.

    Pages, images and robots.txt alike, redirects and errors, too; not what had no whole answer, or was refused amid
    its body. Needs warcio, and raises `InputError` without it, and with PAGES_PLAYWRIGHT, because a browser's requests
    are not seen.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        if not settings.get("WARC_FOLDER", ""):
            return
        if find_spec("warcio") is None:
            raise InputError("WARC_FOLDER needs the library warcio; install it with imgcrawl[warc]")
        if settings.getbool("PAGES_PLAYWRIGHT"):
            raise InputError("WARC_FOLDER records what imgcrawl asks for, not a browser; expected no PAGES_PLAYWRIGHT")
        handler = f"{__name__}.handler.RecordingHandler"
        # The project's own handlers, of which these take the place, have its priority.
        settings.set(
            "DOWNLOAD_HANDLERS", {**settings["DOWNLOAD_HANDLERS"], "http": handler, "https": handler}, "project"
        )
