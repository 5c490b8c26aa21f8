from imgcrawl.basespiders import EntriesSpider


class DoubanSpider(EntriesSpider):
    """movie.douban.com: the 250 films that people liked best, each with its poster."""

    name = "douban"
    custom_settings = {"IMAGES_NAME": "{spider}/{rank:03} {title}"}

    # EntriesSpider
    list_url = "https://movie.douban.com/top250?start={offset}&filter="
    list_pages, per_page = 10, 25
    entries = "//ol[contains(@class, 'grid_view')]/li"
    entry_link = ".//div[contains(@class, 'hd')]/a/@href | .//div[contains(@class, 'pic')]/a/@href"
    entry_image = ".//div[contains(@class, 'pic')]//img/@src"
    texts = {"title": ".//span[@class='title']", "quote": ".//*[contains(@class, 'quote')]"}
    numbers = {
        "rank": ".//div[contains(@class, 'pic')]/em",
        "rating": ".//span[contains(@class, 'rating_num')]",
        "votes": ".//span[contains(text(), '人评价')]",
    }
    lists = {"other_titles": "(.//span[@class='title'])[position() > 1] | .//span[contains(@class, 'other')]"}

    def image_url(self, url: str) -> str:
        return url.replace("/s_ratio_poster/", "/l_ratio_poster/")
