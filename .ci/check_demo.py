"""Whether the folder given holds what the main job must leave: 500 images and a feed whose outcomes add up."""

import hashlib
import json
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
