"""What a crawl tells others, and starts, when it ends, is in trouble, or has a gallery: a file with its summary,
notifications, commands. Only what a setting asks for is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError
from imgcrawl.lines import Secret

if TYPE_CHECKING:
    from imgcrawl.hooks.announcer import Announcer

SETTINGS = ("RUN_SUMMARY", "NOTIFY_URLS", "COMMAND_AT_END", "COMMAND_FOR_GALLERY")  # each switches something on


class Addon:
    """Switches on what RUN_SUMMARY, NOTIFY_URLS, COMMAND_AT_END and COMMAND_FOR_GALLERY ask for.

    A worker of `--workers` runs the commands for galleries; all else is its supervisor's. NOTIFY_URLS needs apprise.
    Raises `InputError` for settings that make no sense.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        if not any(settings.get(name) for name in SETTINGS):
            return
        check(settings)
        if urls := settings.get("NOTIFY_URLS", []):
            # What shows all settings (Scrapy's log does) does not show these.
            settings.setdict({"NOTIFY_URLS": secret_urls(urls)}, settings.getpriority("NOTIFY_URLS") or 0)
        if settings.get("COMMAND_FOR_GALLERY", []):
            from imgcrawl.hooks.gallerycommands import GalleryCommands  # noqa: PLC0415 -- only where it is set

            # Behind the feeds, which have the gallery first.
            settings.setdefault_in_component_priority_dict("EXTENSIONS", GalleryCommands, 1000)
        if not settings.getint("FRONTIER_PARENT") and any(settings.get(name) for name in SETTINGS[:3]):
            from imgcrawl.hooks.extension import Announcements  # noqa: PLC0415 -- the same

            settings.setdefault_in_component_priority_dict("EXTENSIONS", Announcements, 0)


def check(settings: BaseSettings) -> None:
    """Raise `InputError` for settings of this part that make no sense."""
    from imgcrawl.hooks.arguments import END, GALLERY, Arguments  # noqa: PLC0415 -- only where one is set
    from imgcrawl.hooks.notify import check_notify  # noqa: PLC0415 -- the same
    from imgcrawl.hooks.summaryfile import summary_path  # noqa: PLC0415 -- the same

    Arguments(settings.get("COMMAND_FOR_GALLERY", []), GALLERY, setting="COMMAND_FOR_GALLERY")
    Arguments(settings.get("COMMAND_AT_END", []), END, setting="COMMAND_AT_END")
    for name, least in (("COMMAND_TIMEOUT", 0.0), ("COMMAND_AT_ONCE", 1.0)):
        if not settings.getfloat(name, 60.0) >= least:
            raise InputError(f"{name}={settings.get(name)}: expected {least:g} or more")
    if settings.get("NOTIFY_URLS", []):
        if find_spec("apprise") is None:
            raise InputError("NOTIFY_URLS needs the library apprise; install it with imgcrawl[notify]")
        check_notify(settings)
    summary_path(settings, "")


def secret_urls(urls: object) -> list[str]:
    """The addresses in *urls*, a list, or a text in which they stand behind each other; their repr hides them."""
    from imgcrawl.hooks.notify import split_urls  # noqa: PLC0415 -- only where some are set

    return [Secret(url) for url in split_urls(urls)]


def announcer_for(settings: BaseSettings, spider: str) -> Announcer | None:
    """What tells others of a run of several workers, before it begins; None if nobody is to be told.

    Raises `InputError`."""
    if not any(settings.get(name) for name in SETTINGS):
        return None
    from imgcrawl.hooks.announcer import Announcer  # noqa: PLC0415 -- only where one is set

    check(settings)
    announcer = Announcer(settings, spider)
    announcer.start()
    return announcer
