"""`python -m benchmarks [--short] [--long] [QUESTION …]`"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from datetime import UTC, datetime

from benchmarks import report
from benchmarks.bench import Bench, Result, machine, versions

QUESTIONS = {
    "one-process": "q1_one_process",
    "workers": "q2_workers",
    "latency": "q3_latency",
    "slow-images": "q4_slow_images",
    "many-sites": "q5_many_sites",
    "loop-lag": "q6_loop_lag",
    "memory": "q7_memory",
    "queue": "q8_queue",
    "start-up": "q9_start_up",
    "second-run": "q10_second_run",
    "politeness": "q11_politeness",
    "limits-cost": "q12_limits_cost",
    "durability": "q13_durability",
    "parts": "q14_parts",
    "ten-thousand": "q15_ten_thousand",
    "curves": "q16_curves",
    "floor": "q17_floor",
}
APART = {"floor"}  # asked by name only: it says how far a target could be reached, which changes with the libraries


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures imgcrawl against its peers. Writes benchmarks/README.md, results.json and plot.svg, and "
        "some figures into README.md; with --short nothing is written.",
    )
    parser.add_argument(
        "questions",
        nargs="*",
        metavar="QUESTION",
        help=f"of {', '.join(QUESTIONS)} (default: all but {', '.join(APART)})",
    )
    parser.add_argument("--short", action="store_true", help="one small round of everything, under three minutes")
    parser.add_argument("--long", action="store_true", help="memory over a million images")
    given = parser.parse_args()
    if unknown := [name for name in given.questions if name not in QUESTIONS]:
        parser.error(f"no question {unknown[0]!r}; the questions are {', '.join(QUESTIONS)}")
    bench = Bench(short=given.short, long=given.long)
    described = machine()
    results: dict[str, Result] = {}
    failed = False
    try:
        for name in given.questions or [name for name in QUESTIONS if name not in APART]:
            start = time.perf_counter()
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                result = importlib.import_module(f"benchmarks.{QUESTIONS[name]}").measure(bench)
            except Exception:  # one question that fails is told, and the others are still asked
                traceback.print_exc()
                failed = True
                continue
            result.short = given.short
            result.when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            results[name] = result
            print(report.plain(result), flush=True)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    finally:
        bench.clean()
    if results and not given.short:
        every = report.keep(results)
        ordered = {name: every[name] for name in QUESTIONS if name in every}
        problem = bench.lacking("matplotlib") or report.plot([*ordered.values()], bench.peers_python)
        report.write_readme(ordered, described, versions(bench.peers_python))
        print(problem or "README.md, benchmarks/README.md and plot.svg are written", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
