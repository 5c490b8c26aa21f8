"""Draws panels of bars, given as JSON on stdin, to an SVG. FILE"""

from __future__ import annotations

import json
import sys
import textwrap
from statistics import median

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "imgcrawl"  # the same figures give the same file
from matplotlib import pyplot  # noqa: E402 -- after the backend

panels = json.load(sys.stdin)
heights = [len(panel["bars"]) + 2 for panel in panels]
figure, axes = pyplot.subplots(
    len(panels), 1, figsize=(9, sum(heights) * 0.3), squeeze=False, gridspec_kw={"height_ratios": heights}
)
for axis, panel in zip(axes[:, 0], panels, strict=True):
    names = [name for name, _ in panel["bars"]]
    middles = [median(values) for _, values in panel["bars"]]
    below = [middle - min(values) for middle, (_, values) in zip(middles, panel["bars"], strict=True)]
    above = [max(values) - middle for middle, (_, values) in zip(middles, panel["bars"], strict=True)]
    colours = ["#c23b22" if name.startswith("imgcrawl") else "#8a9ba8" for name in names]
    axis.barh(names, middles, xerr=[below, above], color=colours, ecolor="#444444", capsize=2)
    axis.invert_yaxis()
    axis.set_title("\n".join(textwrap.wrap(panel["title"], 100)), fontsize=8, loc="left")
    axis.set_xlabel(panel["label"], fontsize=7)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(sys.argv[1], metadata={"Date": None})
