"""The add-on in a project whose commands are Scrapy's: bad input is one sentence, and an exit code, there, too."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any, Self, cast

import pytest
from scrapy import Request, Spider
from scrapy.crawler import Crawler, CrawlerRunner
from scrapy.pipelines.images import ImagesPipeline as ScrapyImagesPipeline
from scrapy.settings import BaseSettings
from scrapy.utils.conf import build_component_list
from scrapy.utils.misc import load_object
from scrapy.utils.python import global_object_name
from scrapy.utils.test import get_crawler
from twisted.python.failure import Failure

from imgcrawl import Addon
from imgcrawl import settings as ours
from imgcrawl.addon import COMPONENTS, PARTS, SWITCHES
from imgcrawl.exceptions import InputError
from imgcrawl.frontier.known_pages import KnownPages
from imgcrawl.frontier.queue import FINGERPRINT
from imgcrawl.pipelines import ImagesPipeline, VideosPipeline
from tests.support.crawling import crawl_command, environment
from tests.support.processes import run
from tests.support.server import JPEG, Server

SETTINGS = "SPIDER_MODULES = ['theirs']\nADDONS = {'imgcrawl.Addon': 300}\nLOG_LEVEL = 'ERROR'\n"
SPIDER = """
import scrapy

class Theirs(scrapy.Spider):
    name = "theirs"
    start_urls = []
"""
SCRIPT = """
from scrapy.crawler import AsyncCrawlerProcess, CrawlerProcess
from scrapy.utils.project import get_project_settings

process = {}(get_project_settings())
process.crawl("theirs")
process.start()
print("the script goes on")
"""
# As Scrapy's documentation has it.
RUNNER = """
from scrapy.utils.log import configure_logging
from scrapy.utils.reactor import install_reactor
install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
from twisted.internet import reactor
from scrapy.crawler import CrawlerRunner
from scrapy.utils.defer import deferred_from_coro, deferred_to_future
from scrapy.utils.project import get_project_settings

async def crawl():
    runner = CrawlerRunner(get_project_settings())
    try:
        await {}
    except Exception as error:
        print(type(error).__name__)
    reactor.stop()

configure_logging(get_project_settings())
from twisted.internet.defer import ensureDeferred
reactor.callWhenRunning({}, crawl())
reactor.run()
print("the script goes on")
"""


class Theirs(ScrapyImagesPipeline):
    pass


class Elsewhere(ScrapyImagesPipeline):
    IMAGES_RESULT_FIELD = "pictures"


class OfOurs(ImagesPipeline):
    pass


@pytest.mark.parametrize(
    ("pipelines", "enabled", "warnings"),
    [
        ({}, {ImagesPipeline}, 0),
        ({"scrapy.pipelines.images.ImagesPipeline": 1}, {ImagesPipeline}, 0),
        ({ScrapyImagesPipeline: 1}, {ImagesPipeline}, 0),
        ({ScrapyImagesPipeline: None}, {ImagesPipeline}, 0),
        ({Theirs: 1}, {Theirs}, 1),
        ({Theirs: 1, ScrapyImagesPipeline: 2}, {Theirs, ScrapyImagesPipeline}, 1),
        ({Theirs: None}, {ImagesPipeline}, 0),
        ({OfOurs: 1}, {OfOurs}, 0),
        ({Elsewhere: 1, VideosPipeline: 2}, {Elsewhere, VideosPipeline, ImagesPipeline}, 0),
    ],
)
def test_one_pipeline_fills_a_field_of_an_item(
    caplog: pytest.LogCaptureFixture, pipelines: dict[Any, Any], enabled: set[type], warnings: int
) -> None:
    settings = get_crawler(settings_dict={"ITEM_PIPELINES": pipelines, "ADDONS": {Addon: 300}}).settings
    given = settings.getdict("ITEM_PIPELINES")
    assert {load_object(path) for path, order in given.items() if order is not None} == enabled
    assert [record.levelname for record in caplog.records if record.name == "imgcrawl.addon"] == ["WARNING"] * warnings


# What of our settings the add-on leaves as the project has them.
NOT_OF_A_PART = {
    "ADDONS", "ASYNCIO_EVENT_LOOP", "BOT_NAME", "COMMANDS_MODULE", "COOKIES_ENABLED", "HTTPCACHE_POLICY", "LOG_LEVEL",
    "NEWSPIDER_MODULE",
    "REMOTE_CONTROL_ENABLED", "REPORT_TOKEN", "SPIDER_MODULES", "STATS_DUMP", "TELNETCONSOLE_ENABLED",
    "WATCH_TOKEN",
}  # fmt: skip


def test_every_setting_is_of_a_part_or_the_projects_own() -> None:
    alone = {name: set(PARTS) - {part} for part, names in PARTS.items() for name in names}
    assert all(others for others in alone.values())
    of_parts = {name for name in dir(ours) if name.isupper() and name.startswith(tuple(alone))}
    assert {name for name in dir(ours) if name.isupper()} - of_parts - COMPONENTS.keys() == NOT_OF_A_PART


@pytest.mark.parametrize("part", [None, *PARTS])
def test_what_throttles_is_scrapys_extension_or_our_downloader_and_one_of_them_is_there(part: str | None) -> None:
    given = {"AUTOTHROTTLE_ENABLED": True, "IMGCRAWL_WITHOUT": [part] if part else [], "ADDONS": {Addon: 300}}
    settings = get_crawler(settings_dict=given).settings
    throttle = "scrapy.extensions.throttle.AutoThrottle"
    loaded = build_component_list(settings.get_component_priority_dict_with_base("EXTENSIONS"))
    is_theirs = throttle in {global_object_name(load_object(each)) for each in loaded}
    assert is_theirs is (settings["DOWNLOADER"] != ours.DOWNLOADER) is (part == "downloader")


@pytest.mark.parametrize(("part", "name"), SWITCHES)
def test_what_is_asked_of_a_part_that_is_left_out_is_refused(part: str, name: str) -> None:
    given = {name: "1", "IMGCRAWL_WITHOUT": [part], "ADDONS": {Addon: 300}}
    with pytest.raises(InputError, match=f"{name} is set, and IMGCRAWL_WITHOUT names {part}"):
        get_crawler(settings_dict=given)
    get_crawler(settings_dict=given | {name: "0" if name in ("PAGES_PLAYWRIGHT", "LOG_JSON") else ""})


class ByAddress:
    """A fingerprinter as projects have them."""

    def fingerprint(self, request: Request) -> bytes:
        return request.url.encode()


@pytest.mark.parametrize("part", [None, *PARTS])
def test_a_fingerprinter_of_the_projects_own_stays_and_all_of_it_counts(part: str | None) -> None:
    given = {"REQUEST_FINGERPRINTER_CLASS": ByAddress, "IMGCRAWL_WITHOUT": [part] if part else []}
    crawler = get_crawler(settings_dict=given | {"ADDONS": {Addon: 300}})
    assert isinstance(crawler.request_fingerprinter, ByAddress)
    known = KnownPages(crawler, cast("Any", None))
    pages = [known.fingerprint(Request(f"https://example.org/{number}")) for number in range(100)]
    assert {len(page) for page in pages} == {FINGERPRINT}
    assert len(set(pages)) == 100


@pytest.mark.parametrize("part", [None, "downloader"])
def test_a_page_without_its_session_is_the_same_where_our_fingerprinter_is(part: str | None) -> None:
    crawler = get_crawler(settings_dict={"IMGCRAWL_WITHOUT": [part] if part else [], "ADDONS": {Addon: 300}})
    one, other = (
        KnownPages(crawler, cast("Any", None)).fingerprint(Request(f"https://example.org/?PHPSESSID={session}"))
        for session in "ab"
    )
    assert (one == other) is (part is None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = theirsettings\n")
    (tmp_path / "theirsettings.py").write_text(SETTINGS)
    (tmp_path / "theirs.py").write_text(SPIDER)
    return tmp_path


def done_in(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(settings=None), "PYTHONPATH": f"{project}:{environment()['PYTHONPATH']}"}
    return run(command, cwd=project, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("IMGCRAWL_WITHOUT", "imges", "IMGCRAWL_WITHOUT names imges; expected some of images, downloader"),
        ("REDIS_URL", "redis://host:port", "REDIS_URL redis://host:port cannot be read; expected redis://host:port/0"),
        ("IMAGES_STORE", "foo://images", "IMAGES_STORE='foo://images' cannot be used"),  # as the engine is made
        ("FEEDS", '{"/dev/null/x.json": {"format": "json"}}', "Feed /dev/null/x.json"),  # as the spider is opened
    ],
)
@pytest.mark.parametrize("by", ["tasks", "Deferreds"])
def test_bad_input_is_one_sentence_and_exit_code_2(
    project: Path, setting: str, value: str, sentence: str, by: str
) -> None:
    given = {setting: value, "FORCE_CRAWLER_PROCESS": str(by == "Deferreds")}
    done = done_in(project, *crawl_command("theirs", settings=given))
    (line,) = done.stderr.splitlines()
    assert sentence in line
    assert done.returncode == 2


REDIS_SPIDER = """
from scrapy_redis.spiders import RedisSpider

class Fed(RedisSpider):
    name = "fed"
    {fact}
"""


@pytest.mark.parametrize(
    ("fact", "sentence"),
    [
        (
            "redis_key = ['a:start_urls', 'b:start_urls']",
            "redis_key of fed is ['a:start_urls', 'b:start_urls']; expected",
        ),
        ("redis_key = '%(nme)s:start_urls'", "redis_key of fed is '%(nme)s:start_urls'; expected \"fed:start_urls\""),
        ("redis_key = ' '", "redis_key of fed is ' '; expected"),
        ("redis_batch_size = 'many'", "redis_batch_size of fed is 'many'; expected a whole number"),
        ("max_idle_time = 'soon'", "max_idle_time of fed is 'soon'; expected a whole number of seconds"),
    ],
)
@pytest.mark.parametrize("by", ["tasks", "Deferreds"])
def test_a_spider_of_scrapy_redis_that_cannot_be_made_is_one_sentence(
    project: Path, fact: str, sentence: str, by: str
) -> None:
    (project / "theirs.py").write_text(REDIS_SPIDER.format(fact=fact))
    given = {"REDIS_URL": "redis://127.0.0.1:1", "FORCE_CRAWLER_PROCESS": str(by == "Deferreds")}
    done = done_in(project, *crawl_command("fed", settings=given))
    (line,) = done.stderr.splitlines()
    assert line.startswith(sentence)
    assert done.returncode == 2


SELECT = "twisted.internet.selectreactor.SelectReactor"
OURS = """
from imgcrawl.basespiders import RowsSpider

class Ours(RowsSpider):
    name = "ours"
    required = ("file",)
"""
URL = "http://127.0.0.1:1/"


@pytest.mark.parametrize("command", ["crawl theirs", f"fetch {URL}", f"shell {URL} -c 1"])
def test_another_reactor_is_one_sentence_and_exit_code_2(project: Path, command: str) -> None:
    done = done_in(project, sys.executable, "-m", "scrapy", *command.split(), "-s", f"TWISTED_REACTOR={SELECT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"TWISTED_REACTOR is '{SELECT}': imgcrawl works with asyncio's only; "
        "expected 'twisted.internet.asyncioreactor.AsyncioSelectorReactor'\n"
    )


@pytest.mark.parametrize(("has_addon", "by"), [*product((True, False), ("tasks", "Deferreds"))])
@pytest.mark.parametrize(
    "command", ["crawl ours", f"fetch --spider ours {URL}", f"parse --spider ours {URL}", "runspider theirs.py"]
)
def test_a_spider_of_ours_without_its_argument_is_one_sentence_and_exit_code_2(
    project: Path, command: str, by: str, *, has_addon: bool
) -> None:
    (project / "theirs.py").write_text(OURS)
    options = ["-s", f"FORCE_CRAWLER_PROCESS={by == 'Deferreds'}", *(() if has_addon else ("-s", "ADDONS={}"))]
    done = done_in(project, sys.executable, "-m", "scrapy", *command.split(), *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "ours needs -a file=…: the list: a file of rows" in line


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--spider", "ours"), "ours needs -a file=…: the list: a file of rows"),
        (("-s", "IMAGES_STORE=foo://x"), "IMAGES_STORE='foo://x' cannot be used (no such kind of store)"),
        (("-s", "IMGCRAWL_WITHOUT=imges"), "IMGCRAWL_WITHOUT names imges; expected some of images, downloader"),
    ],
)
def test_bad_input_of_a_shell_is_one_sentence_and_exit_code_2(
    project: Path, options: tuple[str, str], sentence: str
) -> None:
    (project / "theirs.py").write_text(OURS)
    done = done_in(project, sys.executable, "-m", "scrapy", "shell", URL, "-c", "1", *options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(sentence)


MANY = "IMAGES_THREADS='many': expected a whole number, 1 or more"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SCRIPT.format("AsyncCrawlerProcess"), ""),
        (SCRIPT.format("CrawlerProcess"), ""),
        (RUNNER.format("runner.crawl('theirs')", "ensureDeferred"), "InputError\n"),
        (RUNNER.format("deferred_to_future(runner.crawl('theirs'))", "deferred_from_coro"), "InputError\n"),
    ],
    ids=["AsyncCrawlerProcess", "CrawlerProcess", "CrawlerRunner", "CrawlerRunner in a task"],
)
def test_a_script_is_told_bad_input_in_one_sentence_and_goes_on(project: Path, script: str, said: str) -> None:
    (project / "script.py").write_text(script)
    with (project / "theirsettings.py").open("a") as settings:
        settings.write("IMAGES_THREADS = 'many'\n")
    done = done_in(project, sys.executable, "script.py")
    assert (done.returncode, done.stdout) == (0, f"{said}the script goes on\n")
    assert done.stderr.count("\n") == 1
    assert MANY in done.stderr


def test_so_is_a_script_with_a_spider_of_ours_and_without_the_addon(project: Path) -> None:
    (project / "theirs.py").write_text(OURS)
    (project / "theirsettings.py").write_text("SPIDER_MODULES = ['theirs']\n")
    (project / "script.py").write_text(RUNNER.format("runner.crawl('ours')", "ensureDeferred"))
    done = done_in(project, sys.executable, "script.py")
    assert (done.returncode, done.stdout) == (0, "InputError\nthe script goes on\n")
    (line,) = [line for line in done.stderr.splitlines() if " INFO: " not in line and " DEBUG: " not in line]
    assert "ours needs -a file=…: the list: a file of rows" in line


def test_a_runner_of_deferreds_makes_a_crawler_once_and_hides_no_other_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class OfItsOwn(Spider):
        name = "own"

        @classmethod
        def update_settings(cls, settings: BaseSettings) -> None:
            settings.set("IMAGES_THREADS", 7, "project")

        @classmethod
        def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
            seen.append(crawler.settings["IMAGES_THREADS"])
            raise kwargs["error"]

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    runner = CrawlerRunner({"ADDONS": {Addon: 300}, "IMAGES_THREADS": 1})
    crawls = [runner.crawl(OfItsOwn, error=error) for error in (InputError("enough"), OSError("full"))]
    assert seen == [7, 7]
    told = [cast("Any", crawl)._debugInfo.failResult is None for crawl in crawls]
    assert told == [True, False], "what is no bad input is told as Twisted tells it, also behind what was"
    failures: list[Failure] = []
    for crawl in crawls:
        crawl.addErrback(failures.append)
    assert [str(failure.value) for failure in failures] == ["enough", "full"]


def test_what_ends_a_script_is_one_sentence_and_exit_code_2(project: Path) -> None:
    (project / "script.py").write_text(SCRIPT.format("AsyncCrawlerProcess"))
    with (project / "theirsettings.py").open("a") as settings:
        settings.write(f"TWISTED_REACTOR = {SELECT!r}\n")
    done = done_in(project, sys.executable, "script.py")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"TWISTED_REACTOR is '{SELECT}': imgcrawl works with asyncio's only")


@pytest.mark.parametrize("by", ["tasks", "Deferreds"])
def test_a_log_in_a_file_hides_nothing_from_the_terminal(project: Path, by: str) -> None:
    given = {"LOG_FILE": "log", "IMAGES_THREADS": "many", "FORCE_CRAWLER_PROCESS": str(by == "Deferreds")}
    done = done_in(project, *crawl_command("theirs", settings=given))
    assert (done.returncode, done.stderr) == (2, f"{MANY}\n")
    assert MANY in (project / "log").read_text()


def test_what_is_not_about_input_is_told_as_scrapy_tells_it(project: Path) -> None:
    done = done_in(project, *crawl_command("theirs", settings={"DOWNLOADER": "no.such.Downloader"}))
    assert done.returncode == 1
    assert "Task exception was never retrieved" in done.stderr
    assert "ModuleNotFoundError: No module named 'no'" in done.stderr


GALLERY = """
import scrapy

class Theirs(scrapy.Spider):
    name = "theirs"

    async def start(self):
        yield scrapy.Request(self.url)

    def parse(self, response):
        yield {"image_urls": [response.urljoin("/a.jpg"), response.urljoin("/b.jpg")], "images": []}
"""


@pytest.mark.parametrize("addon", ["'imgcrawl.Addon'", "'imgcrawl.addon.Addon'", "imgcrawl.Addon"])
def test_commands_of_ours_know_there_what_the_addon_says(project: Path, addon: str, server: Server) -> None:
    (project / "theirs.py").write_text(GALLERY)
    commands = f"import imgcrawl\nCOMMANDS_MODULE = 'imgcrawl.commands'\nADDONS = {{{addon}: 300}}\n"
    (project / "theirsettings.py").write_text(SETTINGS + commands)
    server.add("/page", b"<p>", headers={"Content-Type": "text/html"})
    server.add("/a.jpg", JPEG)
    done = done_in(project, *crawl_command("theirs", "-q", arguments={"url": server.url("/page")}))
    assert (done.returncode, done.stderr) == (1, "1 of 2 images failed, more than 20% (http_404: 1)\n")
    for command, code, told in (
        ("galleries theirs", 0, f'"image_urls": ["{server.url("/a.jpg")}", "{server.url("/b.jpg")}"]'),
        ("failures theirs", 0, server.url("/b.jpg")),
        ("audit", 0, "1 files are as they were"),
        ("rename theirs --simulate", 0, "0 files would be renamed, 1 have their names already"),
        ("retry theirs", 2, "expected a spider of imgcrawl's kinds"),
    ):
        done = done_in(project, sys.executable, "-m", "scrapy", *command.split())
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True), (command, done.stdout, done.stderr)
    help = done_in(project, sys.executable, "-m", "scrapy", "fetch", "--help")
    assert "Example: scrapy fetch --nolog" in " ".join(help.stdout.split())
