"""The wheel, installed where nothing of this checkout is, and used as strangers do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.addon import PARTS
from imgcrawl.demo.server import Replica, serve
from tests.support.crawling import until
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.sharing import Sharing

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds of a loaded machine

SPIDER = """
import json
from pathlib import Path

import scrapy

class Other(scrapy.Spider):
    name = "other"

    async def start(self):
        yield scrapy.Request(self.base)

    def parse(self, response):
        links = response.css("img::attr(src)").getall()[:5]
        yield {{"image_urls": [response.urljoin(link) for link in links], "images": []}}
        named = {{"page_url": "http://www.example.com/"}}  # by a page of the Internet
        yield scrapy.Request(self.base + "?mine", meta=named, callback=self.ignore, errback=self.refused)

    def ignore(self, response):
        pass

    def refused(self, failure):
        self.crawler.stats.set_value("is_refused", failure.value.reason)

    def closed(self, reason):  # which comes before the feed is closed
        try:
            self.crawler.stats.set_value("feed_is_whole", isinstance(json.loads(Path("out.json").read_bytes()), list))
        except (OSError, ValueError):
            pass

    base = "{base}/topic/nvshen/page/1"
"""


KINDS = """
from dataclasses import dataclass, field
import attrs, pydantic, scrapy

class Plain(scrapy.Item):
    image_urls = scrapy.Field()
    images = scrapy.Field()

@dataclass
class Data:
    image_urls: list
    images: list = field(default_factory=list)

@attrs.define
class Attrs:
    image_urls: list
    images: list = attrs.Factory(list)

class Model(pydantic.BaseModel):
    image_urls: list
    images: list = []

class Without(scrapy.Item):
    image_urls = scrapy.Field()

class Author(scrapy.Item):
    name = scrapy.Field()

@dataclass
class DataWithout:
    image_urls: list

class ModelWithout(pydantic.BaseModel):
    image_urls: list

class Kinds(scrapy.Spider):
    name = "kinds"

    async def start(self):
        yield scrapy.Request(self.base + "/topic/nvshen/page/1")

    def parse(self, response):
        links = [response.urljoin(link) for link in response.css("img::attr(src)").getall()]
        for kind in (dict, Plain, Data, Attrs, Model, Without, DataWithout, ModelWithout):
            yield kind(image_urls=links[:2])
        yield Author(name="Ann")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks", "build", "*.egg-info"))
    (clone / "images" / "pximg").mkdir(parents=True)  # as after a crawl
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(folder),
            str(clone),
        ],
        check=True,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with serve("pximg") as replica:
        yield replica


def environment(installed: Path, **variables: str) -> dict[str, str]:
    known = {k: v for k, v in os.environ.items() if k not in ("SCRAPY_SETTINGS_MODULE", "REDIS_URL")}
    return {**known, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", **variables}


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(installed),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_wheel_has_scripts_templates_types_and_licence_and_nothing_from_beside_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "imgcrawl"
    data = {
        p.relative_to(ROOT).as_posix()
        for kind in ("*.lua", "*.tmpl", "py.typed", "static/*")
        for p in package.rglob(kind)
    }
    assert data and data <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"imgcrawl"}


def test_a_crawl_from_an_empty_folder_with_a_configuration_file(installed: Path, site: Replica, tmp_path: Path) -> None:
    (tmp_path / "imgcrawl.toml").write_text(
        f'[arguments.pximg]\nbase = "{site.base}"\npages = 1\n'
        "[settings]\nAUTOTHROTTLE_ENABLED = false\nRETRY_DELAY = 0.01\n",
        "utf-8",
    )
    done = run(installed, tmp_path, "imgcrawl", "crawl", "pximg", "-O", "images.json")
    galleries = json.loads((tmp_path / "images.json").read_text("utf-8"))
    assert len(galleries) == 24, done.stderr
    stored = [image["path"] for gallery in galleries for image in gallery["images"] if "path" in image]
    assert stored
    assert all((tmp_path / "images" / path).is_file() for path in stored)


def test_two_processes_of_the_installed_command_share_a_redis_and_a_kill_loses_nothing(
    installed: Path, tmp_path: Path, redis_server: RedisServer | GivenServer
) -> None:
    slow = {"FRONTIER_LEASE_TIMEOUT": 3, "CONCURRENT_REQUESTS_PER_DOMAIN": 2}  # one gallery after the other
    with (
        serve("pximg", galleries=24, images=2, per_page=12, width=60, misbehave=False, latency=0.1) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base}, **slow) as crawls,
    ):
        command = [str(installed / "bin" / "imgcrawl"), *crawls.command[3:]]
        env = environment(installed, REDIS_URL=redis_server.url)
        killed = crawls.launch(command, env)
        until(crawls.lines)
        killed.send_signal(signal.SIGSTOP)  # so that it is not at its end before it is killed
        fed = len(crawls.lines())
        other = crawls.launch(command, env)
        until(lambda: len(crawls.lines()) > fed)
        killed.kill()
        crawls.wait()
        assert other.returncode == 0, crawls.log(other)
        segments = [path.name for path in tmp_path.glob("part-*.jsonl")]
        assert len(segments) == 2
        done = run(installed, tmp_path, "imgcrawl", "merge", *segments, "-O", "items.json")
        assert done.returncode == 0, done.stderr
        galleries = json.loads((tmp_path / "items.json").read_text("utf-8"))
        assert len(galleries) == len({gallery["url"] for gallery in galleries}) == 24
        paths = [image["path"] for gallery in galleries for image in gallery["images"]]
        assert len(paths) == len(set(paths)) == 48
        assert all((tmp_path / "images" / path).is_file() for path in paths)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[setings]", "'setings' is not known"),
        ("[settings]\nDOWNLOAD_DELAI = 1", "did you mean DOWNLOAD_DELAY?"),
        ("[settings]\nREDIS_URL = {file = 'absent'}", "REDIS_URL is in absent, which cannot be read"),
        ("settings = 1", "settings is 1; expected a table"),
        ("= 1", "cannot be read"),
        ("[settings]\nSPIDER_MODULES = 3", "SPIDER_MODULES is 3; expected a list"),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence(installed: Path, tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "imgcrawl.toml").write_text(content, "utf-8")
    done = run(installed, tmp_path, "imgcrawl", "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_command_line_is_above_the_environment_above_the_profile_above_the_file(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "[settings]\nDOWNLOAD_DELAY = 1\nDOWNLOAD_TIMEOUT = 1\nRETRY_TIMES = 1\nHTTPPROXY_ENABLED = false\n"
    file += "USER_AGENT = {file = 'agent'}\n[arguments.pximg]\nbase = {env = 'MIRROR'}\npages = 3\n"
    file += "[profiles.night.settings]\nDOWNLOAD_DELAY = 2\nDOWNLOAD_TIMEOUT = 2\nRETRY_TIMES = 2\n"
    (tmp_path / "other.toml").write_text(file, "utf-8")
    (tmp_path / "agent").write_text("the secret agent", "utf-8")
    monkeypatch.setenv("MIRROR", "https://secret.example")
    monkeypatch.setenv("IMGCRAWL_DOWNLOAD_DELAY", "3")
    monkeypatch.setenv("IMGCRAWL_DOWNLOAD_TIMEOUT", "3")
    monkeypatch.setenv("IMGCRAWL_REDIS_URL", "redis://me:secret@127.0.0.1/0")
    options = ("--config", "other.toml", "--config-profile", "night", "-s", "DOWNLOAD_DELAY=4")
    done = run(installed, tmp_path, "imgcrawl", "config", *options)
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["DOWNLOAD_DELAY"] == ["4", "the", "command", "line"]
    assert rows["DOWNLOAD_TIMEOUT"] == ["3", "the", "environment"]
    assert rows["RETRY_TIMES"] == ["2", "the", "profile"]
    assert rows["HTTPPROXY_ENABLED"] == ["False", "the", "file"]
    assert rows["USER_AGENT"] == ["***", "the", "file"]
    assert rows["SPIDER_ARGUMENTS"] == ["{'pximg':", "{'base':", "'***',", "'pages':", "'3'}}", "the", "file"]
    assert "secret" not in done.stdout


def test_spiders_of_ones_own_are_found_in_the_folder_that_the_file_names(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "other.py").write_text(SPIDER.format(base="http://127.0.0.1"), "utf-8")
    (tmp_path / "imgcrawl.toml").write_text('spiders = ["mine"]', "utf-8")
    done = run(installed, tmp_path, "imgcrawl", "list")
    assert {"other", "pximg"} <= set(done.stdout.split()), done.stderr


def test_from_the_packed_wheel_the_demo_runs_and_a_site_is_begun_in_ones_own_folder(
    wheel: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<title>Birds</title>" + "".join(f"<a class=album href=/{n}>{n}</a>" for n in range(9)), "utf-8")
    begin = ("newsite", "birds", "https://example.org/?page={page}", "--page", str(page))
    done = run(wheel, tmp_path, "imgcrawl", *begin)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no folder for spiders of your own" in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "imgcrawl.toml").write_text('spiders = ["mine"]\n[settings]\nRETRY_DELAY = 0.01\n', "utf-8")
    done = run(wheel, tmp_path, "imgcrawl", *begin)
    assert done.returncode == 0, done.stderr
    assert 'name = "birds"' in (tmp_path / "mine" / "birds.py").read_text("utf-8")
    assert (tmp_path / "tests" / "sites" / "birds" / "list.html").exists()
    done = run(wheel, tmp_path, "imgcrawl", "demo", "urls")
    assert done.returncode == 0, done.stderr
    assert "\nimgcrawl crawl urls " in done.stdout  # which reads the configuration file, as workers do
    assert "53 of them sent just now, 53 bit for bit as sent" in done.stdout


# What switches these parts on.
TELEMETRY, HOOKS = "METRICS_PORT = 0\nLOG_JSON = True", "RUN_SUMMARY = 'summary.json'"


def other_project(folder: Path, site: Replica, *lines: str) -> Path:
    subprocess.run([sys.executable, "-m", "scrapy", "startproject", "elsewhere"], cwd=folder, check=True, stdout=-3)
    project = folder / "elsewhere"
    (project / "elsewhere" / "spiders" / "other.py").write_text(SPIDER.format(base=site.base), "utf-8")
    with (project / "elsewhere" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write("\n".join(["", "DOWNLOAD_DELAY = 0.01", f"IMAGES_STORE = {str(folder / 'images')!r}", *lines]))
    return project


def parts_at_work(
    done: subprocess.CompletedProcess[str], item: dict[str, Any], redis: RedisServer | GivenServer, project: Path
) -> set[str]:
    """Which parts have done what they are for in a crawl of `other` in *project*."""
    summary = project / "summary.json"
    with redis.client() as client:
        signs = {
            "images": all(len(image["checksum"]) == 64 for image in item["images"]),  # SHA-256 of what was served
            "downloader": "imgcrawl.downloader.Downloader" in done.stderr,
            "politeness": "'is_refused': 'private_address'" in done.stderr,
            "feeds": "'feed_is_whole': True" in done.stderr,
            "verdict": "'verdict': " in done.stderr or "imgcrawl.extensions.verdict" in done.stderr,
            "frontier": client.exists("{other:requests}:run") > 0,
            "telemetry": "Metrics are at http://127.0.0.1:" in done.stderr and '"level": "INFO"' in done.stderr,
            "hooks": summary.exists() and json.loads(summary.read_text("utf-8"))["how"] == "finished",
        }
    return {part for part, works in signs.items() if works}


def test_one_line_in_another_project_brings_images_with_their_outcomes(
    installed: Path, site: Replica, tmp_path: Path, redis_server: RedisServer | GivenServer
) -> None:
    lines = ["ADDONS = {'imgcrawl.Addon': 300}", "ROBOTSTXT_OBEY = False", "AUTOTHROTTLE_ENABLED = False"]
    lines += ["from scrapy.pipelines.images import ImagesPipeline", "ITEM_PIPELINES = {ImagesPipeline: 1}"]
    lines += [TELEMETRY, HOOKS]
    project = other_project(tmp_path, site, *lines)
    done = run(installed, project, "scrapy", "crawl", "other", "-O", "out.json")
    (item,) = json.loads((project / "out.json").read_text("utf-8"))
    assert len(item["images"]) == len(item["image_urls"]) == 5, done.stderr
    assert all("status" in image for image in item["images"])
    assert "Traceback" not in done.stderr
    assert parts_at_work(done, item, redis_server, project) == {*PARTS} - {"frontier"}
    assert "scrapy.pipelines.images" not in done.stderr  # ours is in its place
    assert "'CONCURRENT_REQUESTS_PER_DOMAIN': 1" in done.stderr  # what the project says is as it says


@pytest.mark.parametrize("part", PARTS)
def test_each_part_works_without_the_others(
    installed: Path, site: Replica, tmp_path: Path, redis_server: RedisServer | GivenServer, part: str
) -> None:
    lines = ["ADDONS = {'imgcrawl.Addon': 300}", f"IMGCRAWL_WITHOUT = {[name for name in PARTS if name != part]}"]
    lines += ["AUTOTHROTTLE_ENABLED = True", "AUTOTHROTTLE_START_DELAY = 0.01", f"REDIS_URL = {redis_server.url!r}"]
    if part != "images":
        lines.append("ITEM_PIPELINES = {'scrapy.pipelines.images.ImagesPipeline': 1}")
    if part == "downloader":
        lines.append(f"WARC_FOLDER = {str(tmp_path / 'warc')!r}")
    lines += {"telemetry": [TELEMETRY], "hooks": [HOOKS]}.get(part, [])
    project = other_project(tmp_path, site, *lines)
    done = run(installed, project, "scrapy", "crawl", "other", "-O", "out.json")
    (item,) = json.loads((project / "out.json").read_text("utf-8"))
    assert len(item["images"]) == len(item["image_urls"]) == 5
    assert "Traceback" not in done.stderr, done.stderr
    assert "'finish_reason': 'finished'" in done.stderr
    # The shared queue brings the feeds that it needs.
    assert parts_at_work(done, item, redis_server, project) == {part} | ({"feeds"} if part == "frontier" else set())
    assert ("scrapy.extensions.throttle.AutoThrottle" in done.stderr) == (part != "downloader")
    assert len([*tmp_path.glob("warc/*.warc.gz")]) == (part == "downloader")


@pytest.mark.parametrize(
    "line",
    [
        "ITEM_PIPELINES = {'imgcrawl.pipelines.images.ImagesPipeline': 1}",
        "DOWNLOADER_MIDDLEWARES = {'scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware': None, "
        "'imgcrawl.downloadermiddlewares.robotstxt.RobotsTxtMiddleware': 100}\n"
        "ITEM_PIPELINES = {'scrapy.pipelines.images.ImagesPipeline': 1}",
    ],
    ids=["pipeline", "robots"],
)
def test_one_component_works_in_a_project_without_our_settings_and_with_items_of_every_kind(
    installed: Path, site: Replica, tmp_path: Path, line: str
) -> None:
    project = other_project(tmp_path, site, line)
    (project / "elsewhere" / "spiders" / "kinds.py").write_text(KINDS, "utf-8")
    done = run(installed, project, "scrapy", "crawl", "kinds", "-a", f"base={site.base}", "-O", "out.json")
    items = json.loads((project / "out.json").read_text("utf-8"))
    assert "Traceback" not in done.stderr, done.stderr
    with_field = [item for item in items if "images" in item]
    assert [len(item["images"]) for item in with_field] == [2] * 5
    stored = [image["path"] for item in with_field for image in item["images"]]
    assert all((tmp_path / "images" / path).is_file() for path in stored)
    assert {"name": "Ann"} in items
    if "ITEM_PIPELINES = {'imgcrawl" in line:
        assert len(items) == 5 + 1
        assert done.stderr.count("declares no field 'images', so what became of its images would be lost") == 3
