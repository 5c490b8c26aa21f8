"""Each site's spider on the site's saved pages: a spider without them is red.

`sites/<spider>/expected.json` is a list of cases of four kinds, each with exactly the requests and items that
must come of it. `{base}` stands for the address of the server:

- `page`: a saved page, with the address it has and the callback that reads it; `pages` are those that are asked for
  meanwhile, by their addresses;
- `start`: the options of a spider, which makes its start requests;
- `list`: the options of a spider that reads a list beside expected.json; `bad` are the lines that it must report;
- `crawl`: paths, each with the saved page or the status that a server has for it; the whole site is crawled.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from itemadapter import ItemAdapter
from scrapy import Request, Spider
from scrapy.http import HtmlResponse, Response
from scrapy.spiderloader import SpiderLoader
from scrapy.utils.asyncgen import as_async_generator
from scrapy.utils.test import get_crawler

from imgcrawl.commands.samples import SavedPages
from tests.support.crawling import crawl, project_settings
from tests.support.server import Server

SITES = Path(__file__).parent / "sites"
LOADER = SpiderLoader.from_settings(project_settings())
SPIDERS = sorted(LOADER.list())
HTML = {"Content-Type": "text/html; charset=utf-8"}


def cases(kind: str) -> list[Any]:
    found = []
    for name in SPIDERS:
        file = SITES / name / "expected.json"
        for number, case in enumerate(json.loads(file.read_text("utf-8")) if file.exists() else []):
            assert case.keys() & {"page", "start", "list", "crawl"}, f"{file}: case {number} is of no kind"
            if kind in case:
                found.append(pytest.param(name, case, id=f"{name}-{number}"))
    return found


def spider(name: str, arguments: dict[str, str]) -> Spider:
    crawler = get_crawler(LOADER.load(name))
    if "file" in arguments:
        arguments = arguments | {"file": str(SITES / name / arguments["file"])}
    return crawler.spidercls.from_crawler(crawler, **arguments)


def check(output: list[Any], case: dict[str, Any]) -> None:
    requests = [r for r in output if isinstance(r, Request)]
    items = [ItemAdapter(i).asdict() for i in output if not isinstance(i, Request)]
    for item in items:
        assert item.pop("scraped_at").endswith("+00:00")
    assert [[r.callback.__name__, r.url] for r in requests] == case["requests"]
    assert items == case.get("items", [])
    for made in requests:
        travels(made)


def travels(request: Request) -> None:
    """Whether *request* is the same after a travel as JSON, and does not fail in silence."""
    for carried in (request.cb_kwargs, request.meta):
        assert json.loads(json.dumps(carried)) == carried
    assert request.errback is not None, f"{request} would fail in silence"


@pytest.mark.parametrize("name", SPIDERS)
def test_every_spider_has_saved_pages(name: str) -> None:
    file = SITES / name / "expected.json"
    assert file.exists(), f"save pages of {name} in {file.parent} and say in expected.json what they must yield"
    expected = json.loads(file.read_text("utf-8"))
    assert any(case.get("items") for case in expected), f"{file} expects nothing"


@pytest.mark.parametrize("file", LOADER.list())
def test_a_spider_is_a_few_facts(file: str) -> None:
    source = Path(inspect.getsourcefile(LOADER.load(file)) or "")
    assert len(source.read_text("utf-8").splitlines()) <= 25
    assert LOADER.load(file).__doc__, f"{file}: say what is special about the site"


@pytest.mark.parametrize(("name", "case"), cases("page"))
async def test_saved_page(name: str, case: dict[str, Any]) -> None:
    made = spider(name, case.get("arguments", {}))
    request = Request(case["url"], cb_kwargs=case.get("cb_kwargs", {}), meta=case.get("meta", {}))
    body = (SITES / name / case["page"]).read_bytes()
    if "pages" in case:
        saved = {url: (SITES / name / file).read_bytes() for url, file in case["pages"].items()}
        made.crawler.engine = SavedPages(saved, case.get("headers", {}))
    response = HtmlResponse(case["url"], body=body, request=request, headers=case.get("headers"))
    output = getattr(made, case["callback"])(response, **request.cb_kwargs)
    check([each async for each in as_async_generator(output)], case)


@pytest.mark.parametrize(("name", "case"), cases("start"))
async def test_start(name: str, case: dict[str, Any]) -> None:
    check([request async for request in spider(name, case["start"]).start()], case)


@pytest.mark.parametrize(("name", "case"), cases("list"))
def test_saved_list(name: str, case: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = spider(name, case["list"])
    output: list[Any] = []
    for request in map(made.rows_request, made.pages_of_rows):
        travels(request)
        output += list(request.callback(Response(request.url, request=request), **request.cb_kwargs))
    check(output, case)
    told = [int(line) for line in re.findall(r", line (\d+): ", caplog.text)]
    assert sorted(told) == case["bad"]
    assert made.crawler.stats.get_value("row/bad", 0) == len(case["bad"])
    assert made.crawler.stats.get_value("row/count") == len(output)


@pytest.mark.parametrize(("name", "case"), cases("crawl"))
def test_saved_site(name: str, case: dict[str, Any], server: Server, tmp_path: Path) -> None:
    for path, answer in case["crawl"].items():
        if isinstance(answer, int):
            server.add(path, status=answer)
        else:
            server.add(path, (SITES / name / answer).read_bytes(), headers=HTML)
    arguments = {"base": server.url("").rstrip("/"), **case.get("arguments", {})}

    run = crawl(tmp_path, name, arguments, ITEM_PIPELINES="{}", VERDICT_IMAGES_EXPECTED="False")

    assert run.code == 0, run.log
    items = json.loads(json.dumps(run.items).replace(arguments["base"], "{base}"))
    for item in items:
        assert item.pop("scraped_at").endswith("+00:00")
    assert sorted(items, key=lambda item: item["url"]) == case["items"]
