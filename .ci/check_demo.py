"""Whether the folder given holds what the main job must leave: 500 images and a feed whose outcomes add up; and whether
what its log, the second argument, ends with is what README and docs/ show."""

import hashlib
import html
import json
import re
import sys
from collections import Counter
from pathlib import Path

folder = Path(sys.argv[1])
galleries = json.loads((folder / "images.json").read_text("utf-8"))
images = [image for gallery in galleries for image in gallery["images"]]
statuses = Counter(image["status"] for image in images)
files = {path for path in (folder / "images").rglob("*") if path.is_file() and ".catalogue" not in path.name}

for gallery in galleries:
    assert [image["url"] for image in gallery["images"]] == gallery["image_urls"], gallery["url"]
stored = {folder / "images" / image["path"]: image["checksum"] for image in images if "path" in image}
for path, checksum in stored.items():
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum, path
assert files == set(stored), "files and outcomes differ"
assert len(files) >= 500, f"{len(files)} images, expected 500"
print(f"{len(galleries)} galleries, {len(files)} files, {dict(statuses)}")

told = {" ".join(line.split()) for line in Path(sys.argv[2]).read_text("utf-8").splitlines()}
docs = Path(__file__).parent.parent / "docs"
sample = (docs / "crawl.md").read_text("utf-8").partition("```text\n")[2].partition("```")[0].partition(" MB in ")[0]
drawn = html.unescape(re.sub("<[^>]*>", " ", (docs / "terminal.svg").read_text("utf-8")))
drawn = " ".join(drawn.split())
for line in sample.splitlines()[:-1]:
    shown = " ".join(line.split())
    assert shown in told, f"docs/crawl.md: {line!r} is not what the crawl told"
    assert shown in drawn, f"docs/terminal.svg: {line!r} is not in it"
