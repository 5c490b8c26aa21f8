from imgcrawl.basespiders import Gallery, RowsSpider


class HuabanSpider(RowsSpider):
    """A list of huaban pictures: `id,name,address`. The name in the list is the name of the file."""

    name = "huaban"
    custom_settings = {"IMAGES_NAME": "{spider}/{name}"}

    # RowsSpider
    columns = {"id": 0, "name": 1, "url": 2}

    def fill(self, item: Gallery, row: dict[str, str]) -> None:
        item["id"], item["name"] = row["id"], row["name"]
        self.add(item, row["url"], row["name"])
