"""What a setting has switched off is not loaded."""

from __future__ import annotations

from typing import NamedTuple

from scrapy.settings import BaseSettings


class _Switch(NamedTuple):
    names: tuple[str, ...]  # settings: with one of them a component is wanted
    kind: str  # the setting that lists it
    components: tuple[str, ...]


# Those that bring much along (web servers, a list of all public domains), only to find out that they are switched off.
_SWITCHES = (
    _Switch(
        ("COOKIES_ENABLED", "COOKIES_FILE"),
        "DOWNLOADER_MIDDLEWARES",
        (
            "scrapy.downloadermiddlewares.cookies.CookiesMiddleware",
            "imgcrawl.downloadermiddlewares.cookies.CookiesMiddleware",
        ),
    ),
    _Switch(("TELNETCONSOLE_ENABLED",), "EXTENSIONS", ("scrapy.extensions.telnet.TelnetConsole",)),
    _Switch(("REMOTE_CONTROL_ENABLED",), "EXTENSIONS", ("scrapy.extensions.remote_control.RemoteControl",)),
)


class Addon:
    """Takes cookies, the telnet console and the remote control out of the components of a crawl that has them off.

    They would do nothing there, but Scrapy loads every component to ask it.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        for switch in _SWITCHES:
            if any(settings.getbool(name) if name.endswith("_ENABLED") else settings[name] for name in switch.names):
                continue
            for listed in (settings[switch.kind], settings[f"{switch.kind}_BASE"]):
                for path in switch.components:
                    # Whatever has put it there. None in its place would load it, too.
                    if isinstance(listed, BaseSettings) and path in listed:
                        listed.delete(path, listed.getpriority(path) or 0)
