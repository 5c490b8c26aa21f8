"""The project's own rules. Where one allows exceptions, each needs its reason here."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from scrapy.spiderloader import SpiderLoader

from imgcrawl.items import REASONS
from tests.support.crawling import project_settings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "imgcrawl"
MODULES = sorted(PACKAGE.rglob("*.py"))
LOADER = SpiderLoader.from_settings(project_settings())

# What knows no Scrapy, so that it can be used and tested without a crawl.
PURE = ("imgcrawl/images/", "imgcrawl/urls.py", "imgcrawl/findimages.py", "imgcrawl/rows/", "imgcrawl/addresses.py")
# From where a request starts to where it is told about: a room imports from later rooms only, not from earlier ones.
SPIDERS_MAY_IMPORT = ("imgcrawl.basespiders", "imgcrawl.urls", "imgcrawl.items")


def imports(module: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def named(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", LOADER.list())
def test_a_spider_is_at_most_25_lines_of_facts(name: str) -> None:
    file = PACKAGE / "spiders" / f"{name}.py"
    assert file.exists(), f"{name} is not in the file of its name"
    assert len(file.read_text("utf-8").splitlines()) <= 25
    foreign = {i for i in imports(file) if i.startswith("imgcrawl") and not i.startswith(SPIDERS_MAY_IMPORT)}
    assert not foreign, "a spider states facts; what it needs belongs to its base"
    assert LOADER.load(name).__doc__


@pytest.mark.parametrize("module", [m for m in MODULES if named(m).startswith(PURE)], ids=named)
def test_pure_functions_know_no_scrapy(module: Path) -> None:
    assert not {name for name in imports(module) if name.split(".")[0] in ("scrapy", "twisted")}


def test_no_module_without_a_subject() -> None:
    vague = {"util", "utils", "helpers", "helper", "common", "misc"}
    assert not [named(module) for module in MODULES if module.stem in vague]


def test_nothing_needs_the_folder_beside_the_project() -> None:
    needle = "shared/" + "s"
    files = [*MODULES, *(ROOT / "tests").rglob("*.py"), ROOT / "requirements.txt", ROOT / ".ci" / "run"]
    assert not [named(file) for file in files if f"../{needle}" in file.read_text("utf-8")]


def test_every_setting_says_why() -> None:
    lines = (PACKAGE / "settings.py").read_text("utf-8").splitlines()
    obvious = {"BOT_NAME", "SPIDER_MODULES", "NEWSPIDER_MODULE", "COMMANDS_MODULE"}  # the project's own names
    for line in lines:
        if match := re.match(r"([A-Z_]+) = (?!\{$)", line):
            assert "  # " in line or match[1] in obvious, f"{match[1]} says neither what it is for nor why"


def test_every_ignore_has_a_reason() -> None:
    # A reason follows the rule: "noqa: S311 -- jitter".
    bare = re.compile(r"#\s*(noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z-, ]+\])?)\s*$")
    files = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    found = [
        f"{named(file)}:{number}"
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert not found


def test_every_dependency_has_a_reason() -> None:
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        assert re.match(r"[a-z0-9-]+\S*\s+# \S", line), line


def reasons_used() -> set[str]:
    """The first argument of every ImageError and RequestRefused in the package."""
    used = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            called: Any = getattr(node, "func", None)
            if isinstance(node, ast.Call) and getattr(called, "id", "") in ("ImageError", "RequestRefused"):
                first = node.args[0]
                used |= {c.value for c in ast.walk(first) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    return used


def test_the_list_of_reasons_is_closed() -> None:
    known = {reason for reasons in REASONS.values() for reason in reasons}
    assert reasons_used() <= known
    readme = (ROOT / "README.md").read_text("utf-8")
    assert not [reason for reason in known if f"`{reason}`" not in readme], "the README lists every reason"
