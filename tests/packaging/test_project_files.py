"""The files that say what the package is agree with each other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

from imgcrawl.exitcodes import ExitCode

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


# Packages that several distributions share: which part is of which.
NAMESPACES = {
    "opentelemetry": {
        "opentelemetry.trace": "opentelemetry-api",
        "opentelemetry.sdk": "opentelemetry-sdk",
        "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    }
}


def required(lines: list[str]) -> set[str]:
    return {line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()}


def test_what_the_two_commands_install_is_what_the_package_its_workers_and_its_tests_need() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    asked = {*PROJECT["project"]["dependencies"], *extras["workers"], *PROJECT["dependency-groups"]["dev"]}
    assert required((ROOT / "requirements.txt").read_text("utf-8").splitlines()) == asked


def imported(file: Path) -> Iterator[str]:
    """The modules that *file* imports as it runs, wherever in it."""
    pending: list[ast.AST] = [ast.parse(file.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                pending += node.orelse
                continue
            case ast.Import():
                yield from (name.name for name in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
            case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(str(module))]):
                yield module
        pending += ast.iter_child_nodes(node)


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    modules = {module for file in (ROOT / "imgcrawl").rglob("*.py") for module in imported(file)}
    packages = {module.partition(".")[0] for module in modules}
    foreign = packages - sys.stdlib_module_names - {"imgcrawl", "tests"}
    of = packages_distributions()
    distributions = {
        name.lower().replace("_", "-") for each in foreign - NAMESPACES.keys() for name in of.get(each, [each])
    }
    shared = [module for module in modules if module.partition(".")[0] in NAMESPACES]
    for parts in NAMESPACES.values():
        distributions |= {of_part for part, of_part in parts.items() if any(m.startswith(part) for m in shared)}
        shared = [module for module in shared if not module.startswith(tuple(parts))]
    assert shared == []
    extras = PROJECT["project"]["optional-dependencies"]
    always, sometimes = (
        {re.split(r"[^a-z0-9-]", line.lower())[0] for line in lines}
        for lines in (PROJECT["project"]["dependencies"], [*chain(*extras.values())])
    )
    assert distributions - always - sometimes == set()
    assert always - distributions == set()


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    table = re.findall(r"^\| (\d) \| (.+) \|$", (ROOT / "docs" / "crawl.md").read_text("utf-8"), re.MULTILINE)
    assert table == [(str(int(code)), code.meaning) for code in ExitCode]


def test_every_extra_says_what_it_is_for() -> None:
    section = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1].split("\n[")[0]
    for line in filter(None, section.splitlines()):
        assert re.search(r"\] # \S|^    |^\]", line), line
