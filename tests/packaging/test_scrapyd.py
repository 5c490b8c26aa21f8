"""Scrapyd, with its own client: eggs of this project and of another that uses the add-on, jobs, logs, feeds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests

from imgcrawl.demo.server import Replica, serve
from tests.support.crawling import FAST, until
from tests.support.processes import Process
from tests.support.redis_server import GivenServer, RedisServer, free_port

if not all(map(find_spec, ("scrapyd", "scrapyd_client", "pkg_resources"))):
    pytest.skip("pip install scrapyd scrapyd-client", allow_module_level=True)

from scrapyd_client.pyclient import ScrapydClient

ROOT = Path(__file__).parents[2]
GALLERIES = 24  # of one list page of the replica

SPIDER = """
import scrapy

class Other(scrapy.Spider):
    name = "other"

    async def start(self):
        yield scrapy.Request(self.base + "/topic/nvshen/page/1")

    def parse(self, response):
        links = response.css("img::attr(src)").getall()[:5]
        yield {"image_urls": [response.urljoin(link) for link in links], "images": []}
"""


class Scrapyd:
    """A running Scrapyd with its folders in *folder*; what is in `packages` is installed beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "packages"
        self.packages.mkdir()
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        config = (
            f"[scrapyd]\nhttp_port = {port}\npoll_interval = 0.2\nitems_dir = items\nmax_proc = 8\njobs_to_keep = 20\n"
        )
        (folder / "scrapyd.conf").write_text(config, "utf-8")
        self.client = ScrapydClient(self.url)
        with (folder / "server.log").open("wb") as log:
            self.process = Process(
                [sys.executable, "-m", "scrapyd"], cwd=folder, env=environment(self.packages), stdout=log, stderr=log
            )
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        with suppress(OSError):
            return bool(self.client.daemonstatus())
        return False

    def deploy(self, project: Path, name: str) -> None:
        config = project / "scrapy.cfg"
        config.write_text(f"{config.read_text('utf-8')}\n[deploy:here]\nurl = {self.url}\nproject = {name}\n", "utf-8")
        command = [sys.executable, "-m", "scrapyd_client.deploy", "here"]
        done = subprocess.run(command, cwd=project, env=environment(), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        assert '"status": "ok"' in done.stdout

    def schedule(self, project: str, spider: str, job: str, *settings: str, **arguments: str) -> None:
        data = [("jobid", job), *arguments.items()]
        data += [("setting", setting) for setting in (*(f"{name}={value}" for name, value in FAST.items()), *settings)]
        assert self.client.schedule(project, spider, data) == job

    def states(self, project: str) -> dict[str, str]:
        jobs = self.client.jobs(project)
        return {job["id"]: state for state in ("pending", "running", "finished") for job in jobs[state]}

    def log(self, project: str, spider: str, job: str) -> str:
        return requests.get(f"{self.url}/logs/{project}/{spider}/{job}.log", timeout=60).text

    def items(self, project: str, spider: str, job: str) -> list[dict[str, Any]]:
        path = self.folder / "items" / project / spider / f"{job}.jl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def exit_status(self, job: str) -> int:
        """That of a job that has finished."""
        ends = [line for line in (self.folder / "server.log").read_text("utf-8").splitlines() if f"job='{job}'" in line]
        return int(ends[-1].partition("exitstatus=")[2].split()[0]) if "exitstatus=" in ends[-1] else 0


def environment(packages: Path | None = None) -> dict[str, str]:
    """Without this checkout: what is crawled is in the eggs."""
    steering = ("SCRAPY_SETTINGS_MODULE", "REDIS_URL", "PYTHONPATH")
    known = {name: value for name, value in os.environ.items() if name not in steering}
    return (
        known
        | {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore"}
        | ({"PYTHONPATH": str(packages)} if packages else {})
    )


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with serve("pximg") as replica:
        yield replica


@pytest.fixture(scope="module")
def scrapyd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapyd]:
    running = Scrapyd(tmp_path_factory.mktemp("scrapyd"))
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_jobs_of_the_egg_of_this_project(
    scrapyd: Scrapyd, site: Replica, redis_server: RedisServer | GivenServer, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks", "build", "*.egg-info"))
    scrapyd.deploy(clone, "imgcrawl")
    assert "pximg" in scrapyd.client.spiders("imgcrawl")

    def schedule(job: str, *settings: str, **arguments: str) -> None:
        store = f"IMAGES_STORE={tmp_path / job.partition('-')[0]}"
        scrapyd.schedule("imgcrawl", "pximg", job, store, *settings, **({"base": site.base, "pages": "1"} | arguments))

    schedule("whole")
    redis = f"REDIS_URL={redis_server.url}"
    schedule("shared-1", redis)
    schedule("shared-2", redis)
    schedule("cancelled", "DOWNLOAD_DELAY=0.2")
    schedule("misspelt", pagess="1")
    schedule("senseless", "DOWNLOAD_DELAY=soon")
    until(lambda: scrapyd.items("imgcrawl", "pximg", "cancelled"), 60)
    assert scrapyd.client.cancel("imgcrawl", "cancelled")["prevstate"] == "running"
    until(lambda: set(scrapyd.states("imgcrawl").values()) == {"finished"}, 120)

    def end(job: str) -> tuple[int, str]:
        """The exit code of *job*, and the first error in its log."""
        errors = [line for line in scrapyd.log("imgcrawl", "pximg", job).splitlines() if "] ERROR: " in line]
        return scrapyd.exit_status(job), errors[0].partition("ERROR: ")[2]

    for job in ("whole", "shared-1", "shared-2"):
        assert scrapyd.exit_status(job) == 0, scrapyd.log("imgcrawl", "pximg", job)
    assert "images found" in scrapyd.log("imgcrawl", "pximg", "whole")
    assert end("cancelled") == (3, "stopped before the end")
    assert end("misspelt") == (2, "-a pagess=1: pximg has no option 'pagess'; it has topic, stop_at_known, pages, base")
    assert end("senseless") == (2, "-s DOWNLOAD_DELAY=soon: expected a number, 0 or more")

    whole = scrapyd.items("imgcrawl", "pximg", "whole")
    shares = [scrapyd.items("imgcrawl", "pximg", job) for job in ("shared-1", "shared-2")]
    assert all(shares), "one of the two did it all"
    urls = {gallery["url"] for gallery in whole}
    assert len(whole) == len(urls) == GALLERIES
    assert Counter(gallery["url"] for share in shares for gallery in share) == Counter(urls)
    for folder, galleries in (("whole", whole), ("shared", [*shares[0], *shares[1]])):
        stored = [image["path"] for gallery in galleries for image in gallery["images"] if "path" in image]
        assert stored
        assert all((tmp_path / folder / path).is_file() for path in stored)


def test_a_job_of_the_egg_of_another_project_that_uses_the_add_on(
    scrapyd: Scrapyd, site: Replica, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "imgcrawl", scrapyd.packages / "imgcrawl", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "scrapy", "startproject", "elsewhere"], cwd=tmp_path, check=True, stdout=-3)
    project = tmp_path / "elsewhere"
    (project / "elsewhere" / "spiders" / "other.py").write_text(SPIDER, "utf-8")
    with (project / "elsewhere" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write(f"\nADDONS = {{'imgcrawl.Addon': 300}}\nIMAGES_STORE = {str(tmp_path / 'images')!r}\n")
    scrapyd.deploy(project, "elsewhere")
    scrapyd.schedule("elsewhere", "other", "job", base=site.base)
    until(lambda: scrapyd.states("elsewhere") == {"job": "finished"}, 60)
    log = scrapyd.log("elsewhere", "other", "job")
    assert (scrapyd.exit_status("job"), "Traceback" in log) == (0, False), log
    (item,) = scrapyd.items("elsewhere", "other", "job")
    assert len(item["images"]) == len(item["image_urls"]) == 5
    assert all("status" in image for image in item["images"])
