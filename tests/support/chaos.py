"""The table that a script of chaos prints: a crawl with each seed, and whether all was as it should be."""

# ruff: noqa: T201 -- it is for scripts

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any


def run_chaos(description: str | None, kind: type[Any], chaos: Callable[[int, Path], Any]) -> None:
    """Do what the command line says: *chaos* with each seed in a folder of its own, one *kind* of outcome each."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--keep", help="folder in which the folder of a run that failed is kept")
    options = parser.parse_args()
    names = [field.name for field in fields(kind)]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)
    good = True
    for seed in range(options.seed, options.seed + options.runs):
        with tempfile.TemporaryDirectory() as folder:
            outcome = chaos(seed, Path(folder))
            good = good and outcome.is_good()
            cells = (f"{value:.0f}" if isinstance(value, float) else str(value) for value in astuple(outcome))
            print("| " + " | ".join(cells) + " |" + ("" if outcome.is_good() else " FAILED"), flush=True)
            if options.keep and not outcome.is_good():
                Path(folder).rename(Path(options.keep) / f"seed-{seed}")
                Path(folder).mkdir()
    sys.exit(0 if good else 1)
