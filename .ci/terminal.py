"""Draws what a terminal showed, for the README, from stdin to stdout:

script -qc "stty cols 100 rows 40; scrapy demo" /dev/null | python .ci/terminal.py 'scrapy demo' > docs/terminal.svg
"""

import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

command = sys.argv[1]
here = str(Path.cwd())
shown = sys.stdin.buffer.read().decode().replace("\r", "")
# Of a display that is drawn again and again, one from the middle; what comes after the last stays.
frames = shown.split("\x1b[2K")
progress = [frame for frame in frames[: len(frames) // 2] if frame.strip("\x1b[1A \n")][-1]
texts = [re.sub(r"\x1b\[\?25[lh]|\x1b\[1A", "", text) for text in (progress, frames[-1])]
end = texts[1].partition("\n\n")[0]  # what demo adds to a crawl's own end is no part of it
lines = [f"$ {command}", *texts[0].splitlines(), "", *end.splitlines()]
console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
for line in lines:
    console.print(Text.from_ansi(line.replace(here, "~").rstrip()), overflow="ellipsis", no_wrap=True)
# No font of elsewhere: the reader's own will do.
format_ = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
sys.stdout.write(console.export_svg(title=command, code_format=format_))
