from __future__ import annotations

import re
import subprocess
import sys

import pytest
from scrapy.spiderloader import SpiderLoader

from imgcrawl.basespiders.base import BaseSpider
from imgcrawl.commands.options import described
from tests.support import processes
from tests.support.crawling import ROOT, project_settings

SETTINGS = project_settings()
LOADER = SpiderLoader.from_settings(SETTINGS)


def options(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scrapy", "options", *arguments]
    return processes.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", LOADER.list())
def test_every_option_is_described_and_settable(name: str) -> None:
    spider = LOADER.load(name)
    assert issubclass(spider, BaseSpider)
    text = " ".join(described(spider, SETTINGS).split())
    for option in spider.described_options():
        assert f"-a {option.name}= {' '.join(option.meaning.split())}" in text
        assert hasattr(spider, option.name), f"{name} declares {option.name} and has no default for it"
    for setting, value in spider.all_custom_settings().items():
        assert f"-s {setting}= {value}"[:60] in text


def test_all_spiders() -> None:
    told = options()
    assert told.returncode == 0, told.stderr
    assert [line.partition(":")[0] for line in told.stdout.splitlines() if line[:1].strip()] == sorted(LOADER.list())


def test_one_spider() -> None:
    told = options("mzitu")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("mzitu: www.mzitu.com")
    assert re.search("-a pages= +stop after so many list pages\n", told.stdout)
    assert re.search("-s IMAGES_NAME= +{spider}/{title}/{name}\n", told.stdout)


def test_required_and_default() -> None:
    text = options("alexa").stdout
    assert "standard input (required)" in " ".join(text.split())
    assert "how many links away from a first page (default: 1)" in text


@pytest.mark.parametrize("arguments", [["nobody"], ["mzitu", "pximg"]])
def test_no_such_spider(arguments: list[str]) -> None:
    told = options(*arguments)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1)
    assert told.stderr.startswith(f"scrapy options {' '.join(arguments)}: expected one spider of alexa, ")
