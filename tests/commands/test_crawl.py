from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from imgcrawl.exitcodes import ExitCode
from tests.support.tiny import Project

GOOD = {"image/found": 1, "image/downloaded": 1, "gallery/count": 1}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "scrapy crawl: expected the name of a spider; the spiders are busy, picky, told"),
        (["nobody"], "no spider 'nobody': the spiders are busy, picky, told"),
        (["piky"], "no spider 'piky': did you mean picky?"),
        (["told", "items=[]"], "scrapy crawl: 'items=[]' is no option, expected one spider and -a NAME=VALUE for its"),
        (["told", "--wrokers"], "scrapy crawl: '--wrokers' is no option, expected one spider and -a NAME=VALUE for"),
        (["told", "-a", "items"], "Invalid -a value, use -a NAME=VALUE"),
        (["told", "-s", "items"], "Invalid -s value, use -s NAME=VALUE"),
        (["told", "-s", "CONCURRENT_REQUESTS=many"], "-s CONCURRENT_REQUESTS=many: expected a whole number, 0 or more"),
        (["told", "-s", "IMAGE_STORE=x"], "-s: no setting IMAGE_STORE; did you mean IMAGES_STORE?"),
        (["told", "-s", "COOKIES_ENABLED=perhaps"], "-s COOKIES_ENABLED=perhaps: expected True or False"),
        (["told", "-L", "LOUD"], "LOG_LEVEL is 'LOUD': expected CRITICAL, ERROR, WARNING, INFO or DEBUG"),
        (["told", "-s", "LOG_FILE=/"], "LOG_FILE / cannot be written; expected a file in a folder that is there"),
        (["told", "--logfile", "/dev/null/x"], "LOG_FILE /dev/null/x cannot be written; expected a file in a folder"),
        (["told", "--pidfile", "/dev/null/x"], "--pidfile /dev/null/x cannot be written; expected a file in a folder"),
        (["told", "--profile", "/dev/null/x"], "--profile /dev/null/x cannot be written; expected a file in a folder"),
        (
            ["told", "-s", 'SPIDER_ARGUMENTS={"tolld": {"items": "1"}}'],
            "SPIDER_ARGUMENTS, [arguments.tolld]: no spider 'tolld': did you mean told?",
        ),
        (["told", "-o", "images.xyz"], "Unrecognized output format 'xyz'."),
        (["told", "-o", "a.json", "-O", "b.json"], "Please use only one of -o/--output and -O/--overwrite-output"),
        (["told", "-s", "FORCE_CRAWLER_PROCESS=1"], "FORCE_CRAWLER_PROCESS is on: expected Scrapy's default (False)"),
        (["picky", "-a", "where=init"], "-a where=init: expected a better place"),
        (["picky", "-a", "where=from_crawler"], "-a where=from_crawler: expected a better place"),
        (["told", "-s", "REFUSE=pipeline"], "REFUSE is 'pipeline': expected nothing"),
        (["told", "-s", "REFUSE=middleware"], "REFUSE is 'middleware': expected nothing"),
        (["told", "-s", "REFUSE=refuser"], "REFUSE is 'refuser': expected nothing"),
    ],
)
def test_bad_input_is_one_sentence(project: Project, arguments: list[str], sentence: str) -> None:
    code, out, err = project.crawl(*arguments)
    assert err.startswith(sentence), err
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["told", "-s", "REFUSE=pipeline.open_spider"], "REFUSE is 'pipeline.open_spider': expected nothing"),
        (["told", "-s", "REFUSE=refuser.spider_opened"], "REFUSE is 'refuser.spider_opened': expected nothing"),
        (["picky", "-a", "where=start"], "-a where=start: expected a better place"),
        (["picky", "-a", "where=parse"], "-a where=parse: expected a better place"),
        (
            ["told", "-s", "JOBDIR=/dev/null"],
            "JOBDIR=/dev/null: Not a directory; expected a folder that can be written to",
        ),
        (
            ["told", "-s", "JOBDIR=/dev/null/x"],
            "JOBDIR=/dev/null/x: Not a directory; expected a folder that can be written to",
        ),
        (["told", "-o", "gopher://x/a:json"], "the feed cannot be written, the log says why: gopher://x/a"),
    ],
)
def test_bad_input_found_while_starting_ends_the_crawl(project: Project, arguments: list[str], sentence: str) -> None:
    code, _, err = project.crawl(*arguments)
    assert code == 2, err
    assert err.splitlines()[-1] == sentence
    assert err.splitlines().count(sentence) == 1
    assert "Traceback" not in err
    assert "Unhandled" not in err
    # Whoever wants no log gets the sentence alone.
    assert project.crawl(*arguments, "--nolog") == (2, "", f"{sentence}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["picky", "-a", "where=init bug"],
        ["told", "-s", "REFUSE=pipeline bug"],
        ["told", "-s", "REFUSE=pipeline.open_spider bug"],
    ],
)
def test_a_bug_keeps_its_traceback(project: Project, arguments: list[str]) -> None:
    code, _, err = project.crawl(*arguments)
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == "the crawl could not start: KeyError: 'a bug'"
    assert project.crawl(*arguments, "--nolog") == (1, "", "the crawl could not start: KeyError: 'a bug'\n")


def test_startup_is_for_who_debugs(project: Project) -> None:
    code, _, err = project.told(stats=GOOD)
    assert code == 0
    for chatter in ("Versions", "Overridden settings", "Enabled ", "Dumping"):
        assert chatter not in err
    assert "Spider opened" in err
    _, _, err = project.told("-L", "DEBUG", stats=GOOD)
    for chatter in ("Versions", "Overridden settings", "Enabled "):
        assert chatter in err


@pytest.mark.parametrize("arguments", [["--nolog"], ["-L", "ERROR"]])
def test_summary_and_verdict_without_a_log(project: Project, arguments: list[str]) -> None:
    code, out, err = project.told(*arguments, stats={**GOOD, "verdict/error": "no", "list/failed": 1})
    assert (code, out) == (1, "")
    lines = [line.rstrip() for line in err.splitlines()]
    assert lines[0] == "images found       1"
    assert lines[-2:] == ["no", "also: 1 list page could not be had, so galleries may be missing"]

    code, out, err = project.told(*arguments, "-s", "SUMMARY_ENABLED=0", stats={**GOOD, "verdict/error": "no"})
    assert (code, out, err) == (1, "", "no\n")


def test_nothing_found_is_told_without_a_table_of_zeros(project: Project) -> None:
    assert project.told("--nolog") == (1, "", "not one image: 0 found\n")


def test_a_verdict_about_a_hostile_page_is_one_harmless_line(project: Project) -> None:
    error = "no gallery on http://x/\x1b[2J\n[bold]" + "a" * 300
    _, _, err = project.told("--nolog", stats={"verdict/error": error})
    assert (
        err.splitlines()[0]
        == "no gallery on http://x/\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}[bold]" + "a" * 300
    )


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_one_ctrl_c_ends_in_order(project: Project, stop: signal.Signals) -> None:
    process = project.start("busy", "-O", "images.json", stderr=subprocess.PIPE)
    assert process.stderr
    before = b""
    while b"busy now" not in before:
        before += process.stderr.readline()
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    lines = [line.rstrip() for line in err.decode().splitlines()]
    assert process.returncode == ExitCode.STOPPED
    assert lines[-1] == "stopped before the end"
    assert "images found     3" in lines
    assert "Traceback" not in err.decode()
    assert (project.folder / "images.json").read_text().strip().endswith("]")


def test_the_second_ctrl_c_ends_at_once_and_leaves_a_clean_terminal(project: Project) -> None:
    with project.in_terminal("busy", "-a", "do=hang") as terminal:
        terminal.read_until("busy now")
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until("stopping when what is under way is done; Ctrl-C again stops at once")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 1
    screen = terminal.screen()
    assert "stopped at once, before what was under way was done" in screen
    assert not any("stopping when" in line or line.startswith("busy 0:") for line in screen)
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l")


def test_help(project: Project) -> None:
    process = project.start("-h", stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"-a NAME=VALUE" in out
