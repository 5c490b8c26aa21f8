import re

from imgcrawl.basespiders import ListImagesSpider


class DoutulaSpider(ListImagesSpider):
    """www.doutula.com: images on the list pages, loaded lazily, called after their `alt`; those of class gif are
    badges."""

    name = "doutula"
    custom_settings = {"IMAGES_NAME": "{spider}/{name}"}

    # ListImagesSpider
    list_url = "https://www.doutula.com/photo/list/?page={page}"
    images = (
        "//div[contains(@class, 'page-content')]"
        "//img[not(contains(concat(' ', normalize-space(@class), ' '), ' gif '))][@data-original]"
    )
    image_link = "./@data-original"
    image_text = "./@alt"

    def image_name(self, text: str) -> str:
        return re.sub(r"[?？.，。！!*]", "", text)
