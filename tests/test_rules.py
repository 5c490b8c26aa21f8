"""The project's own rules. Where one allows exceptions, each needs its reason here."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import default_settings as scrapys_settings
from scrapy.spiderloader import SpiderLoader

import imgcrawl.settings
from imgcrawl.items import REASONS
from tests.support.crawling import project_settings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "imgcrawl"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(PACKAGE.rglob("*.lua"))
LOADER = SpiderLoader.from_settings(project_settings())

# What knows no Scrapy, so that it can be used and tested without a crawl.
PURE = ("imgcrawl/images/", "imgcrawl/urls.py", "imgcrawl/pages/", "imgcrawl/rows/", "imgcrawl/addresses.py")
SPIDERS_MAY_IMPORT = ("imgcrawl.basespiders", "imgcrawl.urls", "imgcrawl.items")

# Which room (a package, or a module beside the packages) may import which. A room that is not named may import none.
# Anybody may import these, which import nothing else of ours.
FOUNDATIONS = {
    "cancelling",
    "certificates",
    "children",
    "digits",
    "exceptions",
    "exitcodes",
    "filelocks",
    "urls",
    "items",
    "lines",
    "failures",
    "followed",
    "identity",
    "longwork",
    "imageerrors",
    "ownfiles",
    "patterns",
    "possessive",
    "regularfiles",
    "ranges",
    "samples",
    "signalmanager",
    "webrequest",
}
MAY_IMPORT: Mapping[str, set[str]] = {
    "imgcrawl": {"addon"},  # `from imgcrawl import Addon`
    "__main__": {"console"},
    "checks": {"settings"},  # the defaults
    "refusal": {"checks", "engine", "settings"},
    "configuration": {"checks"},
    "console": {"commandline"},
    "commandline": {"components", "configuration"},
    "settings": {"imgcrawl"},  # its version
    "addon": {"checks", "components", "settings", "frontier", "hooks", "playwright", "refusal", "telemetry", "warc"},
    "spiders": {"basespiders"},
    "basespiders": {
        "addresses", "catalogue", "engine", "images", "pages", "refusal", "rows", "settings", "stopping", "trial",
    },
    "live": {"display", "engine", "extensions", "frontier", "shared", "stopping"},
    "spidermiddlewares": {"downloadermiddlewares", "optouts", "pages", "referrers"},
    "playwright": {"downloadermiddlewares", "downloadhandler"},
    "downloadermiddlewares": {
        "bodies", "cookiesfile", "downloader", "engine", "limits", "pages", "referrers", "stopping",
    },
    "downloader": {
        "backpressure", "engine", "limits", "middlewares", "outputs", "stopping", "turns", "unfinished", "waiting",
    },
    "outputs": {"engine", "unfinished"},
    "unfinished": {"engine", "jobdir", "pages", "stopping"},
    "stopping": {"engine"},
    "waiting": {"backpressure", "engine"},
    "priorityqueue": {"downloader"},
    "turns": {"backpressure", "bodies", "limits"},
    "warc": {"bodies", "downloadhandler", "imgcrawl"},
    "answers": {"backpressure", "bodies"},
    "downloadhandler": {"answers", "bodies", "checks", "connections", "engine", "framing", "proxies"},
    "proxies": {"checks", "framing"},
    "limits": {"frontier", "shared"},
    "rows": {"addresses", "parquetrows"},
    "catalogue": {"durability"},
    "retries": {"catalogue"},
    "pipelines": {
        "bodies", "catalogue", "downloader", "durability", "engine", "images", "referrers",
        "optouts", "pages", "spidermiddlewares", "stopping",  # pages: one may stand where an image was asked for
    },
    "feeds": {"durability", "engine"},
    "upkeep": {"catalogue", "feeds", "images", "pipelines", "rows"},
    "report": {"catalogue", "images", "pipelines", "upkeep", "watch"},  # watch: who may ask a server of ours
    "exports": {"images", "pipelines", "rows"},  # what a path of a file is
    "frontier": {"feeds", "engine", "extensions", "settings", "shared", "stopping"},  # settings: the feeds it needs
    "extensions": {"display", "engine", "livedisplay"},
    "watch": {"catalogue", "display", "images", "pipelines"},
    "telemetry": {  # watch: by which names a server of ours may be asked
        "downloader", "engine", "extensions", "images", "imgcrawl", "pipelines", "watch",
    },
    "hooks": {"engine", "extensions", "feeds"},
    "workers": {  # pipelines: what stands for images that are not there
        "display", "livedisplay", "extensions", "feeds", "frontier", "hooks", "limits", "live", "pipelines", "shared",
    },
    "commands": {
        "addon", "basespiders", "catalogue", "checks", "components", "configuration", "demo", "display", "exports",
        "extensions", "feeds", "frontier", "hooks", "images", "imgcrawl", "limits", "live", "pages", "pipelines",
        "refusal", "report", "retries", "shared", "stopping", "telemetry", "upkeep", "watch", "workers",
    },
}  # fmt: skip

# ---- what is larger than it should be, and why: an entry that is not needed any more is an error, too -------------
MAX_LINES, MAX_METHODS, MAX_FUNCTION = 300, 20, 60
LONG_FILES: Mapping[str, str] = {}
LARGE_CLASSES: Mapping[str, str] = {}
LONG_FUNCTIONS: Mapping[str, str] = {}
SAME_NAMES: Mapping[str, str] = {
    "Command": "Scrapy finds a command by this name",
    "Addon": "what ADDONS names, in each room that has one",
}


@cache
def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))


@cache
def nodes(module: Path) -> list[ast.AST]:
    return list(ast.walk(parsed(module)))


def imports(module: Path) -> set[str]:
    names = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "imgcrawl"


def rooms_imported_by(module: Path) -> Iterator[str]:
    for node in nodes(module):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "imgcrawl":
            there = {path.stem for path in PACKAGE.iterdir()}
            names = [f"imgcrawl.{a.name}" if a.name in there else "imgcrawl" for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (room_of(name) for name in names if name.partition(".")[0] == "imgcrawl")


def test_rooms_import_only_what_they_may() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        room = module.relative_to(PACKAGE).parts[0].removesuffix(".py").replace("__init__", "imgcrawl")
        used[room] |= {*rooms_imported_by(module)} - {room} - FOUNDATIONS
    allowed = {room: set() if room in FOUNDATIONS else MAY_IMPORT.get(room, set()) for room in used.keys() | MAY_IMPORT}
    assert {room: wrong for room in used if (wrong := used[room] - allowed[room])} == {}
    stale = {room: unused for room in allowed if (unused := allowed[room] - used[room])}
    assert stale == {}, "remove what is not needed any more"


def test_the_picture_of_the_path_matches_the_tree() -> None:
    page = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    rooms = {path.name for path in PACKAGE.glob("*.py")} | {
        f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")
    }
    shown = set(re.findall(r"`([a-z]+(?:\.py|/))`", page))
    assert rooms - shown == {"__init__.py", "__main__.py"}
    assert shown <= rooms | {"templates/"}
    short = set(re.findall(r"  ([a-z]+(?:\.py|/))", page))
    assert len(short) > 10 and short <= rooms, "the short one, of the same path"


def test_rooms_do_not_import_in_a_circle() -> None:
    def reached(room: str, seen: set[str]) -> set[str]:
        for other in MAY_IMPORT.get(room, set()) - seen - {"imgcrawl"}:  # whose `Addon` is for others
            seen.add(other)
            reached(other, seen)
        return seen

    circles = {room for room in MAY_IMPORT if room in reached(room, set())}
    assert circles <= {"imgcrawl"}


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(list)
    for module in MODULES:
        for node in parsed(module).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(named(module))
    found = {name: modules for name, modules in places.items() if len(modules) > 1}
    assert {name: modules for name, modules in found.items() if name not in SAME_NAMES} == {}
    assert SAME_NAMES.keys() <= found.keys(), "remove what is not needed any more"


def check_sizes(sizes: Mapping[str, int], limit: int, allowed: Mapping[str, str]) -> None:
    larger = {name: size for name, size in sizes.items() if size > limit}
    assert {name: size for name, size in larger.items() if name not in allowed} == {}, f"larger than {limit}"
    assert allowed.keys() <= larger.keys(), "remove from the list what is not too large any more"


def test_files_are_at_most_300_lines() -> None:
    sizes = {named(file): len(file.read_text("utf-8").splitlines()) for file in (*MODULES, *SCRIPTS)}
    check_sizes(sizes, MAX_LINES, LONG_FILES)


def test_classes_have_at_most_20_methods() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    sizes = {
        f"{named(module)}: {node.name}": sum(isinstance(member, functions) for member in node.body)
        for module in MODULES
        for node in nodes(module)
        if isinstance(node, ast.ClassDef)
    }
    check_sizes(sizes, MAX_METHODS, LARGE_CLASSES)


def lua_functions(script: Path) -> Iterator[tuple[str, int]]:
    """Name and length of the functions that begin a line."""
    lines = script.read_text("utf-8").splitlines()
    for start, line in enumerate(lines):
        if match := re.match(r"(?:local )?function ([\w.]+)", line):
            rest = range(start, len(lines))
            end = start if re.search(r"\bend\s*$", line) else next(n for n in rest if lines[n].startswith("end"))
            yield match[1], end - start + 1


def test_functions_are_at_most_60_lines() -> None:
    sizes = {
        f"{named(module)}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in MODULES
        for node in nodes(module)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    sizes |= {f"{named(script)}: {name}": size for script in SCRIPTS for name, size in lua_functions(script)}
    check_sizes(sizes, MAX_FUNCTION, LONG_FUNCTIONS)


def test_only_one_module_touches_what_scrapys_engine_keeps_to_itself() -> None:
    touching = {
        named(module)
        for module in MODULES
        for node in nodes(module)
        if isinstance(node, ast.Attribute) and node.attr == "_slot"
    }
    assert touching == {"imgcrawl/engine.py"}


# Imports what is foreign, looks around, imports what is ours, and looks again.
LOOK_TWICE = """
import codecs, importlib, json, logging, sys, warnings
foreign, ours = json.load(sys.stdin)

def load(names):
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            if name.startswith("imgcrawl"):
                raise

load(foreign)
from PIL import Image, ImageFile

def look():
    loggers = {"": logging.root, **logging.root.manager.loggerDict}
    seen = {
        f"logger {name}": [logger.level, logger.disabled, logger.propagate, repr(logger.filters), repr(logger.handlers)]
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and (logger.level or logger.filters or logger.handlers or logger.disabled)
    }
    seen["warnings"] = [repr(one) for one in warnings.filters]
    seen["pillow"] = [Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, Image._initialized, sorted(Image.OPEN)]
    for name in ("imgcrawl.bad", "imgcrawl.undecodable"):
        try:
            seen[name] = repr(codecs.lookup_error(name))
        except LookupError:
            pass
    return seen

before = look()
load(ours)
after = look()
changed = {name: after[name] for name in after if after[name] != before.get(name)}
json.dump([changed, sorted(name for name in sys.modules if not name.startswith("imgcrawl"))], sys.stdout)
"""


def test_importing_has_no_side_effects() -> None:
    ours = [
        ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for module in MODULES
        if module.stem != "__main__"
    ]

    def look(foreign: list[str]) -> tuple[dict[str, Any], list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", LOOK_TWICE], input=json.dumps([foreign, ours]), cwd=ROOT,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        changed, loaded = json.loads(done.stdout)
        return changed, loaded

    # What our dependencies do as they are imported is theirs: they come first.
    _, foreign = look(["scrapy"])
    own_scripts = {name for name in foreign if name.startswith("__")}
    changed, _ = look(["scrapy", *(name for name in foreign if name not in own_scripts)])
    assert changed == {}, "whoever needs it installs it"


def defaults_in_code(names: set[str]) -> Iterator[tuple[str, str, Any]]:
    """A setting, where it is read, and its default there, as in `settings.getint("NAME", 5)`."""
    for module in MODULES:
        if module == PACKAGE / "settings.py":
            continue
        for node in nodes(module):
            place = f"{named(module)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in names:
                yield node.slice.value, place, None
            if not isinstance(node, ast.Call):
                continue
            for argument, default in pairwise([*node.args, None]):
                if isinstance(argument, ast.Constant) and argument.value in names:
                    name = ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                    known = vars(importlib.import_module(name))
                    value = eval(compile(ast.Expression(default), place, "eval"), known) if default else None  # noqa: S307 -- our code
                    yield argument.value, place, value


# Settings whose names are put together where they are read.
DEFAULTS_ELSEWHERE = {
    "BUDGET_PAGES", "BUDGET_IMAGES", "BUDGET_BYTES", "BUDGET_HOST_PAGES", "BUDGET_HOST_IMAGES", "BUDGET_HOST_BYTES",
    "IMAGES_NAME", "VIDEOS_NAME",
}  # fmt: skip


def test_every_setting_of_ours_has_the_same_default_in_code() -> None:
    project = {name: value for name, value in vars(imgcrawl.settings).items() if name.isupper()}
    ours = {name for name in project if not hasattr(scrapys_settings, name)}
    read = set()
    wrong = {}
    for name, place, default in defaults_in_code(ours):
        read.add(name)
        # Nothing is what a setting is that is not there.
        if default != project[name] and (default or project[name]):
            wrong[place] = f"{name}: {default!r} in place of {project[name]!r}"
    assert wrong == {}
    assert ours - read - DEFAULTS_ELSEWHERE == set(), "a setting that no code reads"
    assert not read & DEFAULTS_ELSEWHERE


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
        for node in nodes(module):
            called: Any = getattr(node, "func", None)
            if isinstance(node, ast.Call) and getattr(called, "id", "") in ("ImageError", "RequestRefused"):
                first = node.args[0]
                used |= {c.value for c in ast.walk(first) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    return used


def test_the_list_of_reasons_is_closed() -> None:
    known = {reason for reasons in REASONS.values() for reason in reasons}
    assert reasons_used() <= known
    page = (ROOT / "docs" / "crawl.md").read_text("utf-8")
    assert not [reason for reason in known if f"`{reason}`" not in page], "docs/crawl.md lists every reason"


def test_nothing_of_redis_is_loaded_where_no_queue_is_shared() -> None:
    parts = (
        "feeds.storage",
        "feeds.exporters",
        "pipelines",
        "downloader",
        "frontier",
        "extensions.verdict",
        "commands.crawl",
    )
    code = "; ".join([*(f"import imgcrawl.{part}" for part in parts), "import sys; print('redis' in sys.modules)"])
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# What mypy --platform win32, which .ci/run runs, does not see: it is declared everywhere, and works on POSIX only.
NOT_ON_WINDOWS = re.compile(
    r"add_signal_handler|create_subprocess_\w+|unix_socket_path|AF_UNIX|start_new_session|/bin/sh"
)
WITHOUT_WINDOWS: Mapping[str, str] = {
    "imgcrawl/workers/supervisor.py": "--workers, which says there that it is not for Windows",
    "imgcrawl/workers/process.py": "the same",
    "imgcrawl/workers/warm.py": "loaded on Linux only",
    "imgcrawl/frontier/server.py": "the server of --workers",
    "imgcrawl/images/process.py": "start_new_session has no effect on Windows",
    "imgcrawl/rows/objects.py": "the same",
    "imgcrawl/hooks/commands.py": "the same",
    "imgcrawl/basespiders/trials.py": "the same",
    "imgcrawl/demo/server.py": "asks for the platform first; start_new_session has no effect on Windows",
}


def test_what_windows_has_not_is_used_in_few_places() -> None:
    users = {named(module) for module in MODULES if NOT_ON_WINDOWS.search(module.read_text("utf-8"))}
    assert users == set(WITHOUT_WINDOWS)


def test_the_readme_is_one_screen() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 50
    # Where a browser breaks lines, addresses of links and pictures are no part of them.
    shown = [re.sub(r"<[^>]*>|\]\([^)]*\)", "", line) for line in lines]
    commands = {line for line in lines if line.startswith("python3 -m venv")}
    assert [line for line in shown if len(line) > 105 and line not in commands] == []


def test_what_is_compiled_once_is_kept_whatever_a_container_says() -> None:
    probe = "import sys; sys.exit(sys.dont_write_bytecode)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
    assert not sys.dont_write_bytecode
