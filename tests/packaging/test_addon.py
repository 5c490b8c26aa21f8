"""The add-on in a project whose commands are Scrapy's: bad input is one sentence, and an exit code, there, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crawling import crawl_command, environment
from tests.support.processes import run

SETTINGS = "SPIDER_MODULES = ['theirs']\nADDONS = {'imgcrawl.Addon': 300}\nLOG_LEVEL = 'ERROR'\n"
SPIDER = """
import scrapy

class Theirs(scrapy.Spider):
    name = "theirs"
    start_urls = []
"""
SCRIPT = """
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.utils.project import get_project_settings

process = AsyncCrawlerProcess(get_project_settings())
process.crawl("theirs")
process.start()
print("the script goes on")
"""


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
        ("REDIS_URL", "redis://host:port", "REDIS_URL redis://host:port with REDIS_PARAMS: Port could not be cast"),
        ("IMAGES_STORE", "foo://images", "IMAGES_STORE='foo://images' cannot be used"),  # as the engine is made
        ("FEEDS", '{"/dev/null/x.json": {"format": "json"}}', "Feed /dev/null/x.json"),  # as the spider is opened
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(project: Path, setting: str, value: str, sentence: str) -> None:
    done = done_in(project, *crawl_command("theirs", settings={setting: value}))
    (line,) = done.stderr.splitlines()
    assert sentence in line
    assert done.returncode == 2


def test_a_script_goes_on_and_a_log_in_a_file_hides_nothing_from_the_terminal(project: Path) -> None:
    (project / "script.py").write_text(SCRIPT)
    with (project / "theirsettings.py").open("a") as settings:
        settings.write("IMAGES_THREADS = 'many'\n")
    sentence = "IMAGES_THREADS='many': expected a whole number, 1 or more"
    script = done_in(project, sys.executable, "script.py")
    assert (script.returncode, script.stdout) == (0, "the script goes on\n")
    assert script.stderr.count("\n") == 1
    assert sentence in script.stderr
    done = done_in(project, *crawl_command("theirs", settings={"LOG_FILE": "log"}))
    assert (done.returncode, done.stderr) == (2, f"{sentence}\n")
    assert sentence in (project / "log").read_text()


def test_what_is_not_about_input_is_told_as_scrapy_tells_it(project: Path) -> None:
    done = done_in(project, *crawl_command("theirs", settings={"DOWNLOADER": "no.such.Downloader"}))
    assert done.returncode == 1
    assert "Task exception was never retrieved" in done.stderr
    assert "ModuleNotFoundError: No module named 'no'" in done.stderr
