"""What `scrapy crawl` can be told to say less or otherwise, and how it ends then."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scrapy.cmdline import _get_commands_dict

from imgcrawl import __version__
from imgcrawl.exitcodes import ExitCode
from tests.support.crawling import ROOT, crawl_command, environment, project_settings
from tests.support.processes import run
from tests.support.server import HTML, JPEG, Server


def crawl(folder: Path, *options: str, **arguments: str) -> subprocess.CompletedProcess[str]:
    command = crawl_command("urls", *options, arguments=arguments, settings={"AUTOTHROTTLE_ENABLED": "False"})
    return run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120)


def test_a_simulation_asks_for_no_image_and_says_where_each_would_go(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    server.add("/b.jpg", JPEG)
    first = crawl(tmp_path, "-q", url=server.url("/a.jpg"))
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    server.forget()
    done = crawl(tmp_path, "--simulate", "-q", url=f"{server.url('/a.jpg')},{server.url('/b.jpg')},ftp://x/c.jpg")
    assert (done.returncode, done.stderr, server.paths()) == (0, "", [])
    assert sorted(done.stdout.splitlines()) == [
        "(scheme)\tftp://x/c.jpg",
        f"(uptodate)\t{server.url('/a.jpg')}",
        f"urls/127.0.0.1/b\t{server.url('/b.jpg')}",
    ]


@pytest.mark.parametrize("more", [["--workers", "2"], ["-s", "REDIS_HOST=127.0.0.1"]])
def test_a_simulation_takes_nothing_from_a_queue_that_others_share(more: list[str], tmp_path: Path) -> None:
    done = crawl(tmp_path, "--simulate", *more, url="http://127.0.0.1/a.jpg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a crawl by itself" in done.stderr


def test_a_crawl_can_end_with_one_line_for_machines(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    server.add("/b.jpg", HTML, headers={"Content-Type": "text/html"})
    done = crawl(tmp_path, "--json", "-q", url=f"{server.url('/a.jpg')},{server.url('/b.jpg')}")
    assert done.returncode == 1
    assert done.stderr == "1 of 2 images failed, more than 20% (html: 1)\n"
    told = json.loads(done.stdout)
    assert told["seconds"] > 0
    assert told["started"] <= told["ended"]
    assert told == {
        "format": 1,
        "spider": "urls",
        "state": "ended",
        "how": "finished",
        "exit_code": 1,
        "verdict": "1 of 2 images failed, more than 20% (html: 1)",
        "findings": ["1 of 2 images failed, more than 20% (html: 1)"],
        "images": {
            "found": 2, "downloaded": 1, "uptodate": 0, "duplicate": 0, "refused": 0, "failed": 1, "under_way": 0,
            "reasons": {"refused": {}, "failed": {"html": 1}},
        },
        **{name: told[name] for name in ("started", "ended", "seconds", "galleries")},
        "bytes": len(JPEG),
        "bytes_before": 0,
        "images_downloaded_now": 1,
        "list_pages_failed": 0,
        "subpages_failed": 0,
        "rows_bad": {"count": 0, "reasons": {}},
        "pages_known": 0,
        "pages_left": 0,
        "commands": {"run": 0, "failed": 0, "reasons": {}},
        "examples": {"image/failed/html": {"url": server.url("/b.jpg"), "page": told["galleries"] and ""}},
    }  # fmt: skip
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    assert [name for name in told if f"`{name}`" not in page] == []
    assert told["galleries"]["found"] == sum(told["galleries"][name] for name in ("scraped", "failed", "not_reached"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [("imgcrawl cra", "crawl"), ("imgcrawl crawl px", "pximg"), ("imgcrawl queue --de", "--dead")],
)
def test_a_shell_completes_commands_spiders_and_options(words: str, expected: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    made = run(
        [sys.executable, "-m", "scrapy", "completion", "bash"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=True,
    )
    script.write_bytes(made.stdout)
    split = words.split()
    ask = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(split) - 1}; "
        f"_shtab_imgcrawl imgcrawl {split[-1]} {split[-2]}; echo ${{COMPREPLY[@]}}"
    )
    told = subprocess.run(["/bin/bash", "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [expected]


def test_the_help_of_every_command_has_an_example() -> None:
    for name, command in _get_commands_dict(project_settings(), inproject=True).items():
        assert re.search(rf"Example: (.+ )?(scrapy|imgcrawl) {name}\b", command.long_desc()), name


ASYNCIO = "imgcrawl works with asyncio's only; expected 'twisted.internet.asyncioreactor.AsyncioSelectorReactor'"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("fetch http://127.0.0.1:1/ -s IMAGES_STORE=foo://x", "IMAGES_STORE='foo://x' cannot be used"),
        ("list --logfile /dev/null/x", "LOG_FILE /dev/null/x cannot be written; expected a file in a folder that is"),
        ("options --pidfile /dev/null/x", "--pidfile /dev/null/x cannot be written; expected a file in a folder that"),
        ("shell -c 1 -s IMAGES_THREADS=many", "-s IMAGES_THREADS=many: expected a whole number, 1 or more"),
        ("parse http://127.0.0.1:1/ --spider nobody", "--spider nobody: expected one of "),
        (
            "parse http://127.0.0.1:1/ --pipelines -s TWISTED_REACTOR=twisted.internet.selectreactor.SelectReactor",
            ASYNCIO,
        ),
        ("fetch http://127.0.0.1:1/ -s FORCE_CRAWLER_PROCESS=True", "FORCE_CRAWLER_PROCESS is on: expected Scrapy's"),
        (
            "parse http://127.0.0.1:1/ --spider urls -c parse_rows",
            "urls needs either -a file=FILE or -a url=ADDRESS,ADDRESS,…",
        ),
        ("shell http://127.0.0.1:1/ --spider urls", "urls needs either -a file=FILE or -a url=ADDRESS,ADDRESS,…"),
        ("parse http://127.0.0.1:1/ --nolog", "http://127.0.0.1:1/ is of no spider here: expected --spider NAME"),
        ("parse http://127.0.0.1:1/ --spider pximg", "pximg has no callback 'parse': expected -c with one of parse_"),
        ("parse http://127.0.0.1:1/ --spider pximg -c parse_nothing", "pximg has no callback 'parse_nothing'"),
        ("check nobody", "scrapy check nobody: expected one of alexa, "),
        ("fetch", "expected [options] <url>, as in: scrapy fetch --nolog https://example.org/albums"),
    ],
)
def test_scrapys_own_commands_tell_bad_input_in_one_sentence(command: str, sentence: str, tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "imgcrawl", *command.split(), "-L", "ERROR"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    *usage, told = done.stderr.splitlines()
    assert sentence in told
    assert len(usage) == (3 if command == "fetch" else 0), "its usage, from Scrapy"


OFF = " -s ROBOTSTXT_OBEY=False -s RETRY_ENABLED=False"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (f"fetch{OFF}", "with -L INFO the log says why"),
        (f"parse --spider urls -a url=http://127.0.0.1:1/ -c parse_rows{OFF}", "with -L INFO the log says why"),
        (f"shell -c response.status{OFF}", "http://127.0.0.1:1/: [Errno 111] Connect call failed ('127.0.0.1', 1)"),
        ("shell -c response.status -s ROBOTSTXT_RETRY=0 -s RETRY_ENABLED=False", "with -L INFO the log says why"),
    ],
)
def test_an_address_from_which_nothing_comes_is_one_sentence_and_exit_code_1(
    command: str, why: str, tmp_path: Path
) -> None:
    done = run(
        [sys.executable, "-m", "imgcrawl", *command.split(), "http://127.0.0.1:1/", "--nolog"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, f"nothing was fetched from http://127.0.0.1:1/: {why}\n")


def test_a_shell_without_an_answer_says_so_and_goes_on(tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "imgcrawl", "shell", "./no-such-file.html", "--nolog"],
        cwd=tmp_path,
        env={**environment(), "SCRAPY_PYTHON_SHELL": "python"},
        input="print(response, 6 * 7)\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert "None 42" in done.stdout
    assert f"nothing was fetched from {(tmp_path / 'no-such-file.html').as_uri()}: " in done.stderr


def test_the_version_and_what_is_configured(tmp_path: Path) -> None:
    (tmp_path / "imgcrawl.toml").write_text("[settings]\nDOWNLOAD_DELAY = 2\n")
    told = [
        run(
            [sys.executable, "-m", "imgcrawl", *words],
            cwd=tmp_path,
            env=environment(settings=None),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for words in (["--version"], ["config", "-s", "BOT_NAME=b", "-s", "REDIS_URL=redis://:pw@[::1]"])
    ]
    version, (file, *table) = told
    assert version[0] == f"imgcrawl {__version__}"
    assert version[1].startswith("Scrapy 2.19.")
    assert file == f"configuration file: {tmp_path / 'imgcrawl.toml'}"
    rows = [row.split(maxsplit=2) for row in table]
    assert ["DOWNLOAD_DELAY", "2", "the file"] in [[word.strip() for word in row] for row in rows]
    assert ["BOT_NAME", "b", "the command line"] in [[word.strip() for word in row] for row in rows]
    assert ":pw" not in str(rows)


def test_without_a_file_nothing_is_from_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imgcrawl", "config"]
    told = run(command, cwd=tmp_path, env=environment(settings=None), capture_output=True, text=True, check=True)
    assert told.stdout == "configuration file: none\nall settings are the project's own\n"


def test_a_user_whom_nobody_knows_is_served(tmp_path: Path) -> None:
    """A service's, or that of a container; Scrapy looks for its file in his home."""
    nobody = "import os, pwd; pwd.getpwuid = lambda uid: {}[uid]; del os.environ['HOME']"
    command = [sys.executable, "-c", f"{nobody}; from imgcrawl.console import main; main(['imgcrawl', 'list'])"]
    told = run(command, cwd=tmp_path, env=environment(settings=None), capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert "pximg" in told.stdout
    assert [*tmp_path.iterdir()] == []


def test_ctrl_c_while_python_loads_is_one_word(tmp_path: Path) -> None:
    (tmp_path / "scrapy").mkdir()
    (tmp_path / "scrapy" / "__init__.py").write_text("import time; print('loading', flush=True); time.sleep(600)")
    with subprocess.Popen(
        [sys.executable, "-m", "imgcrawl", "crawl", "urls"], cwd=tmp_path, env=environment(settings=None),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (ExitCode.STOPPED, "interrupted\n")


def test_the_shell_shows_an_answer(server: Server, tmp_path: Path) -> None:
    server.add("/page", b"<title>A page</title>", headers={"Content-Type": "text/html"})
    done = run(
        [sys.executable, "-m", "imgcrawl", "shell", server.url("/page"), "-c", "response.css('title::text').get()"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "A page"), done.stderr
