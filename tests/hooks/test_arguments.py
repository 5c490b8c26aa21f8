"""What a site says stays in one argument of a command, and is no option of it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.exceptions import InputError
from imgcrawl.hooks import Addon
from imgcrawl.hooks.arguments import GALLERY, Arguments
from imgcrawl.hooks.commands import CommandRunner
from imgcrawl.hooks.notify import Notifier, split_urls
from imgcrawl.hooks.trouble import Troubles

FACTS = dict.fromkeys(GALLERY, "")


@pytest.mark.parametrize(
    ("template", "title", "expected"),
    [
        (["{title}"], "a b; $(rm -rf /) `x` 'y' \"z\" > f | g\n&", ["a b; $(rm -rf /) `x` 'y' \"z\" > f | g\n&"]),
        (["{title}"], "--delete", ["delete"]),
        (["{title}"], "-+@/etc/passwd", ["/etc/passwd"]),
        (["--", "{title}"], "--delete", ["--", "--delete"]),
        (["{title}", "--", "x"], "-x", ["x", "--", "x"]),
        (["--title={title}"], "-x", ["--title=-x"]),
        (["{title}{title}"], "{url}", ["{url}{url}"]),  # what stands in a value is no place
        (["{title}"], "", [""]),
        (["a{title}"], "\0\udc80", ["a?"]),
        (["{}", "{ title }", '{"a": 1}'], "x", ["{}", "{ title }", '{"a": 1}']),
        (["{title}"], "x" * 20_000, ["x" * 10_000]),
    ],
)
def test_a_value_is_one_argument_and_no_option(template: list[str], title: str, expected: list[str]) -> None:
    arguments = Arguments([sys.executable, *template], GALLERY, setting="COMMAND_FOR_GALLERY")
    assert arguments.filled({**FACTS, "title": title}) == [sys.executable, *expected]


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("COMMAND_FOR_GALLERY", "convert {title}", "COMMAND_FOR_GALLERY: expected a list of a program and its"),
        ("COMMAND_FOR_GALLERY", '{"a": 1}', "expected a list of a program and its arguments"),
        ("COMMAND_FOR_GALLERY", ["sh", 1], "expected a list of a program and its arguments"),
        ("COMMAND_FOR_GALLERY", ["sh", "{verdict}"], "{verdict} is not known; expected spider, url, title"),
        ("COMMAND_AT_END", '["sh", "{title}"]', "{title} is not known; expected spider, verdict"),
        ("COMMAND_FOR_GALLERY", ["{title}"], "'{title}' is no program that can be run"),
        ("COMMAND_FOR_GALLERY", ["/no/such/program"], "'/no/such/program' is no program that can be run"),
        ("NOTIFY_ON", ["never"], "NOTIFY_ON: 'never' is not known; expected some of trouble, end"),
        ("NOTIFY_URLS", ["pass word"], "NOTIFY_URLS, number 1: expected an address of apprise"),
        ("RUN_SUMMARY", "%(spider)s.json", r"in which %(name)s and %(time)s may stand"),
        ("RUN_SUMMARY", "/no/such/folder/x.json", "expected a file in a folder that is there"),
        ("COMMAND_TIMEOUT", -1, "COMMAND_TIMEOUT=-1: expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(setting: str, value: Any, sentence: str) -> None:
    given: dict[str, Any] = {"COMMAND_AT_END": ["true"], "NOTIFY_URLS": ["json://localhost"], setting: value}
    with pytest.raises(InputError) as error:
        Addon().update_settings(Settings(given))
    assert sentence in str(error.value)


def test_addresses_stand_behind_each_other_and_no_repr_of_settings_shows_them() -> None:
    urls = "mailto://u:p@example.org?to=a,b, json://x\n  tgram://token/chat"
    assert split_urls(urls) == ["mailto://u:p@example.org?to=a,b", "json://x", "tgram://token/chat"]
    settings = Settings({"NOTIFY_URLS": urls})
    Addon().update_settings(settings)
    assert settings["NOTIFY_URLS"] == split_urls(urls)
    assert repr(settings["NOTIFY_URLS"]) == "['***', '***', '***']"


def test_an_address_that_the_library_cannot_read_is_told_without_what_stands_in_it() -> None:
    urls = ["json://127.0.0.1:1/", "nosuch://s3cretword/x"]
    with pytest.raises(InputError) as error:
        Notifier(Settings({"NOTIFY_URLS": urls})).check()
    assert "NOTIFY_URLS, number 2 (nosuch://…) cannot be read" in str(error.value)
    assert "s3cretword" not in str(error.value)
    Notifier(Settings({"NOTIFY_URLS": urls[:1]})).check()


def test_trouble_is_told_once_of_each_kind() -> None:
    troubles = Troubles(0.2)
    few = {"image/failed": 10, "image/downloaded": 10}
    many = {"image/failed": 20, "image/downloaded": 40, "gallery/failed": 10, "gallery/count": 50}
    assert troubles.look(few) == []
    assert troubles.look(many) == ["20 of 60 images have failed so far"]
    assert troubles.look(many) == []
    ending = {"verdict/error": "the disk is full"}
    assert troubles.look({**many, **ending}) == ["the disk is full"]
    assert troubles.look({**many, **ending, "gallery/failed": 20}) == ["20 of 70 galleries have failed so far"]


def test_a_crawl_of_which_nothing_comes_is_in_trouble_unless_it_waits_for_its_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("imgcrawl.hooks.trouble.monotonic", lambda: now)
    troubles, waiting = Troubles(0.2), {"budget/waiting": "example.org"}
    assert troubles.look(waiting) == []
    now = 2000.0
    assert troubles.look(waiting) == []
    assert troubles.look({}) == []
    now = 2901.0
    assert troubles.look({}) == ["nothing has come for 15 minutes"]


@pytest.mark.parametrize(
    ("code", "timeout", "stopping", "reason"),
    [
        ("", 60, False, ""),
        ("raise SystemExit(3)", 60, False, "exit_3"),
        ("import os; os.kill(os.getpid(), 9)", 60, False, "signal_9"),
        ("import time; time.sleep(600)", 0.3, False, "timeout"),
        ("import time; time.sleep(600)", 600, True, "stopped"),
    ],
)
def test_a_command_ends_in_its_time_and_says_why_it_failed(
    code: str, timeout: float, stopping: bool, reason: str
) -> None:
    runner = CommandRunner(Settings({"COMMAND_TIMEOUT": timeout, "SHUTDOWN_TIMEOUT": 0}), lambda: stopping)
    assert (
        runner.run(Arguments([sys.executable, "-ISc", code], (), setting="X"), {}, {"much": "x" * 1_000_000}) == reason
    )
    runner.close()
