from imgcrawl.basespiders import Gallery, RowsSpider, addresses_in


class WeiboSpider(RowsSpider):
    """A table of weibo posts: a CSV without a header, whose tenth column is a printed list of addresses."""

    name = "weibo"
    custom_settings = {"IMAGES_NAME": "{spider}/{basename}"}

    # RowsSpider
    columns = {"images": 9}

    def fill(self, item: Gallery, row: dict[str, str]) -> None:
        for address in addresses_in(row["images"]):
            self.add(item, address)
