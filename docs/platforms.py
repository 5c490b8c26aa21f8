"""`python docs/platforms.py` writes docs/platforms.md anew: where everything that imgcrawl needs has a wheel.

pip resolves for each platform what is required, with all that this requires in turn, from wheels only; nothing is
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
from pathlib import Path

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

Written by `python docs/platforms.py` on {date}, for Python {python}: pip resolved what is required, and all that this
requires, from wheels alone. A name is of a package that has none there, and is built from source, or is not to be had.
The tests run on Linux x86-64 only; that nothing is imported or called which cannot work on Windows is checked by
`mypy --platform win32`.

"""


def missing(requirements: list[str], tags: list[str]) -> str:
    """Whichever package pip finds no wheel of, "" for none."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-input"]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", "--abi", "cp313"]
    command += ["--abi", "abi3", "--abi", "none"]
    for tag in tags:
        command += ["--platform", tag]
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run(
            [*command, "--target", target, *requirements], capture_output=True, text=True, check=False
        )
    if done.returncode == 0:
        return ""
    found = re.findall(r"No matching distribution found for ([\w.\-]+)", done.stderr)
    return found[0] if found else done.stderr.strip().splitlines()[-1][:80]


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {"imgcrawl": project["dependencies"], **project["optional-dependencies"]}
    columns = {name: f"`imgcrawl[{name}]`" if name != "imgcrawl" else "`imgcrawl`" for name in wanted}
    rows = ["| | " + " | ".join(columns.values()) + " |", "|" + "---|" * (len(columns) + 1)]
    for platform, tags in PLATFORMS.items():
        cells = [missing(requirements, tags) or "yes" for requirements in wanted.values()]
        rows.append(f"| {platform} | " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    text = HEAD.format(date=datetime.datetime.now(datetime.UTC).date(), python=PYTHON) + "\n".join(rows) + "\n"
    (ROOT / "docs" / "platforms.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
