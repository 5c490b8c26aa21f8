"""The files that say what the package is agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from imgcrawl.exitcodes import ExitCode

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def required(lines: list[str]) -> set[str]:
    return {line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()}


def test_what_the_two_commands_install_is_what_the_package_its_workers_and_its_tests_need() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    asked = {*PROJECT["project"]["dependencies"], *extras["workers"], *PROJECT["dependency-groups"]["dev"]}
    assert required((ROOT / "requirements.txt").read_text("utf-8").splitlines()) == asked


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    table = re.findall(r"^\| (\d) \| (.+) \|$", (ROOT / "docs" / "crawl.md").read_text("utf-8"), re.MULTILINE)
    assert table == [(str(int(code)), code.meaning) for code in ExitCode]


def test_every_extra_says_what_it_is_for() -> None:
    section = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1].split("\n[")[0]
    for line in filter(None, section.splitlines()):
        assert re.search(r"\] # \S|^    |^\]", line), line
