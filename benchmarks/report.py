"""What came out: a table in the terminal, a plot, and the generated part of the README."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.bench import Result

HERE = Path(__file__).parent
README = HERE / "README.md"
FRONT_PAGE = HERE.parent / "README.md"
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- results: written by python -m benchmarks -->", "<!-- end of results -->"
FIGURES_BEGIN, FIGURES_END = "<!-- figures: written by python -m benchmarks -->", "<!-- end of figures -->"
# What the front page says of a question, by the value of one of its targets.
FIGURES = (
    ("one-process", 0, "{} times the images a second of Scrapy's `ImagesPipeline`"),
    ("one-process", 1, "{} times those of `FilesPipeline`, which verifies nothing"),
    ("queue", 0, "{} times the pages a second of scrapy-redis' queue"),
    ("many-sites", 0, "500 sites {} times as fast as one after the other"),
)
MARK = {True: "met", False: "**missed**", None: "not judged"}


def cell(values: Sequence[float]) -> str:
    """The median of *values*, with the spread where there is more than one."""
    if not values:
        return "–"
    text = number(median(values))
    return f"{text} ({number(min(values))}–{number(max(values))})" if len(values) > 1 else text


def number(value: float) -> str:
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def ratio(result: Result, peer: str) -> str:
    """How *peer* compares with the base in the column that is plotted."""
    found = result.ratio(peer, result.base, result.plotted)
    return "–" if found is None else f"{found:.2f}"


def markdown(result: Result) -> str:
    """The section of one question."""
    lines = [f"### {result.question}", ""]
    if result.rows:
        told = [("verifies", result.verifies)] if any(result.verifies.values()) else []
        told.append(("does not do", result.lacks))
        heads = ["", *result.columns, f"{result.plotted}, to {result.base}", *(head for head, _ in told)]
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for peer, row in result.rows.items():
            cells = [peer, *(cell(row[column]) for column in result.columns), ratio(result, peer)]
            lines.append("| " + " | ".join([*cells, *(said.get(peer, "") for _, said in told)]) + " |")
        lines.append("")
    for peer, reason in result.absent.items():
        lines.append(f"- absent: {peer}: {reason}")
    for promise, value, met in result.targets:
        lines.append(f"- target: {promise}: {value}: {MARK[met]}")
    lines += [f"- {note}" for note in result.notes]
    how = "short mode" if result.short else "median (smallest–largest)"
    lines += [f"- {result.when}, {how}", ""]
    return "\n".join(lines)


def plain(result: Result) -> str:
    """The same for a terminal."""
    heads = ["", *result.columns, "ratio"]
    rows = [[peer, *(cell(row[c]) for c in result.columns), ratio(result, peer)] for peer, row in result.rows.items()]
    widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
    lines = [
        result.question,
        *("  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) for line in [heads, *rows]),
    ]
    lines += [f"  absent: {peer}: {reason}" for peer, reason in result.absent.items()]
    lines += [f"  {MARK[met].strip('*')}: {promise}: {value}" for promise, value, met in result.targets]
    return "\n".join([*lines, *(f"  {note}" for note in result.notes), ""])


def keep(results: dict[str, Result]) -> dict[str, Result]:
    """Put *results* beside what earlier runs left of other questions; all of them, in order."""
    known = (
        {name: Result(**values) for name, values in json.loads(RESULTS.read_text()).items()} if RESULTS.exists() else {}
    )
    every = known | results
    RESULTS.write_text(json.dumps({name: asdict(result) for name, result in every.items()}, indent=1) + "\n")
    return every


def write_readme(results: Mapping[str, Result], machine: str, versions: str) -> None:
    """Replace the generated parts of the README and of the front page by *results*."""
    parts = ["", f"Machine: {machine}.", "", f"Versions: {versions}.", "", "![images a second](plot.svg)", ""]
    _replace(README, BEGIN, END, [*parts, *(markdown(result) for result in results.values())])
    said = [text.format(results[name].targets[at][1]) for name, at, text in FIGURES if name in results]
    _replace(FRONT_PAGE, FIGURES_BEGIN, FIGURES_END, [textwrap.indent(textwrap.fill(", ".join(said) + ".", 98), "  ")])


def _replace(page: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    before, _, rest = page.read_text("utf-8").partition(begin)
    body, mark, after = rest.partition(end)
    indent = body.rpartition("\n")[2]
    page.write_text(before + "\n".join([begin, *lines, indent + mark]) + after, "utf-8")


def plot(results: Sequence[Result], python: Path) -> str:
    """Draw each question's plotted column with matplotlib, which *python* has. Why not, or nothing."""
    panels = []
    for result in results:
        bars = [(peer, row[result.plotted]) for peer, row in result.rows.items() if row[result.plotted]]
        if bars:
            panels.append({"title": result.question, "label": result.plotted, "bars": bars})
    command = [str(python), str(HERE / "scripts" / "plot.py"), str(HERE / "plot.svg")]
    drawn = subprocess.run(command, input=json.dumps(panels), capture_output=True, text=True, check=False)
    return "" if drawn.returncode == 0 else f"no plot: {drawn.stderr.strip().splitlines()[-1]}"
