"""The documentation is true: it builds, its reference is what the code says, and every command and block of it runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import reference
from imgcrawl.demo.server import serve
from tests.support.crawling import ROOT, environment
from tests.support.example import COOKIES, CSV, add_example
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.server import Server
from tests.support.shell import commands as commands_of_tests

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"sh", "console", "python", "toml", "text", "ini", "json", "yaml", "redis"}

# How the commands begin that are not run here, and where they are run, or said not to be.
NOT_HERE = {
    "python3 -m venv .venv": ".ci/run",
    "scrapy newsite": "tests/commands/test_newsite.py",
    "scrapy status": "tests/live/test_status.py",
    "python -m benchmarks": "tests/test_benchmarks.py",
    "scrapyd-deploy": "tests/packaging/test_scrapyd.py",
    "curl http://localhost:6800/": "tests/packaging/test_scrapyd.py",
    "scrapy watch": "tests/watch/test_watching.py",
    "redis-cli lpush pximg:start_urls": "tests/frontier/test_start_urls.py",
    "podman ": "docs/deploy.md",
    "RUN=$(date +%F) docker compose": "docs/deploy.md",
    "install -m 644 deploy/systemd": "docs/deploy.md",
    "python3 -m venv /opt/imgcrawl": "docs/deploy.md",
    "systemctl enable": "docs/deploy.md",
}

# The project of somebody who reads: ours, hurried, with the replica in place of the site.
SETTINGS = """
from imgcrawl.settings import *
AUTOTHROTTLE_ENABLED = False
RETRY_TIMES = 0
VERDICT_MAX_FAILED = 1.0
PRIVATE_HOSTS_ALLOWED = ["127.0.0.1"]
SPIDER_ARGUMENTS = {{"pximg": {{"base": "{replica}", "pages": "1"}}}}
"""


def blocks(file: Path, *languages: str) -> list[str]:
    return [text for language, text in BLOCK.findall(file.read_text("utf-8")) if language in languages]


def commands(file: Path) -> Iterator[list[str]]:
    """The commands of each block of *file*, one a line; in a console those behind a prompt."""
    for language, text in BLOCK.findall(file.read_text("utf-8")):
        lines = re.sub(r"\\\n\s*", "", text).splitlines()
        if language == "console":
            yield [line[2:] for line in lines if line.startswith(("$ ", "# "))]
        elif language == "sh":
            yield lines


def scripts(file: Path) -> Iterator[str]:
    """Those that are run here, a block each."""
    for lines in commands(file):
        if here := [line for line in lines if not line.startswith(tuple(NOT_HERE))]:
            yield "\n".join(here)


@pytest.fixture(scope="module")
def site() -> Iterator[Server]:
    with Server() as server:
        add_example(server)
        yield server


@pytest.fixture(scope="module")
def replica() -> Iterator[str]:
    with serve("pximg", galleries=8, images=3, width=200) as running:
        yield running.base


@pytest.mark.parametrize("file", [page for page in PAGES if [*scripts(page)]], ids=lambda page: page.stem)
def test_every_command_does_what_the_page_says(
    file: Path, site: Server, replica: str, redis_server: RedisServer | GivenServer, tmp_path: Path
) -> None:
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = reader\n")
    (tmp_path / "reader.py").write_text(SETTINGS.format(replica=replica))
    (tmp_path / "list.csv").write_text(CSV.replace("https://img.example.org", site.url("/").rstrip("/")))
    (tmp_path / "cookies.txt").write_text(COOKIES.replace("example.org", "127.0.0.1"))
    env = environment(settings=None)
    with commands_of_tests() as programs:
        env["PATH"] = os.pathsep.join((str(programs), str(Path(sys.executable).parent), env["PATH"]))
        for script in scripts(file):
            real = script.replace("https://example.org", site.url("/").rstrip("/")).replace(
                "redis://host:6379", redis_server.url
            )
            real = real.replace("http://127.0.0.1:8000", replica)
            ran = subprocess.run(
                ["/bin/bash", "-euxo", "pipefail", "-c", real], cwd=tmp_path, env=env, capture_output=True, text=True,
                check=False, timeout=300, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert ran.returncode == 0, f"{file.name}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
            assert "Traceback" not in ran.stdout + ran.stderr


def test_what_is_not_run_here_is_run_elsewhere_or_said_not_to_be() -> None:
    lines = [line for page in PAGES for block in commands(page) for line in block]
    assert [start for start in NOT_HERE if not any(line.startswith(start) for line in lines)] == []
    for place in NOT_HERE.values():
        assert place != "docs/deploy.md" or re.search("by hand|not run", (ROOT / place).read_text("utf-8")), place
        assert (ROOT / place).exists()
    for page in PAGES:
        for text in blocks(page, "console"):
            assert all(line.startswith(("$ ", "# ")) for line in text.splitlines()), "what is no command is text"


@pytest.mark.parametrize("file", PAGES, ids=lambda page: page.stem)
def test_every_block_is_what_it_says_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in blocks(file, "python"):
        exec(compile(text, file.name, "exec"), {})  # noqa: S102 -- our own page
    monkeypatch.setenv("EXAMPLE_PASSWORD", "abc")
    for text in blocks(file, "toml"):
        tomllib.loads(text)
    found = {language for language, _ in BLOCK.findall(file.read_text("utf-8"))}
    assert found <= LANGUAGES, "a block says what it is, so that it can be checked"
    assert len(re.findall(r"^```", file.read_text("utf-8"), re.MULTILINE)) % 2 == 0


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    page = (reference.FOLDER / f"{name}.md").read_text("utf-8")
    assert page == reference.HEADER + reference.PAGES[name](), "run: python docs/reference.py"


def test_what_shows_each_row_of_the_threat_model_is_there() -> None:
    rows = re.findall(r"^\|[^|]+\|[^|]+\|([^|]+)\|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)[2:]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`([^`]+)`", row)
        assert ", ".join(f"`{name}`" for name in named) == row.strip()
        for name in named:
            assert name.endswith(".py"), name
            assert "def test_" in (ROOT / "tests" / name).read_text("utf-8"), name


def test_every_stat_is_in_the_reference() -> None:
    def spelled(names: set[str]) -> set[str]:
        return {re.sub(r"\{[^}]*\}", "{}", name) for name in names}

    assert spelled(reference.stats_in_code()) == spelled(set(reference.STATS)), (
        "docs/reference.py says what each counts"
    )


def test_the_pages_build_and_their_links_lead_somewhere(tmp_path: Path) -> None:
    if shutil.which("sphinx-build", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("needs pip install sphinx myst-parser")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "settings.html").exists()
