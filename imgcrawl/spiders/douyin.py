from imgcrawl.basespiders import Gallery, VideoRowsSpider


class DouyinSpider(VideoRowsSpider):
    """A list of douyin videos: `name,address`. The name in the list is the name of the file."""

    name = "douyin"

    # RowsSpider
    columns = {"name": 0, "url": 1}

    def fill(self, item: Gallery, row: dict[str, str]) -> None:
        item["name"] = row["name"]
        self.add(item, row["url"], row["name"])
