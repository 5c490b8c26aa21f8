from imgcrawl.basespiders import GallerySpider
from imgcrawl.urls import without_query


class PximgSpider(GallerySpider):
    """www.pximg.com: galleries of a topic. The images on a page are reduced copies; the address without its
    query is the original."""

    name = "pximg"
    options = {"topic": "the topic whose list is crawled"}
    topic = "nvshen"

    # GallerySpider
    list_url = "https://www.pximg.com/topic/{topic}/page/{page}"
    gallery_links = "//div[contains(@class, 'camLiTitleC')]/p/a/@href"
    image_links = "//li/a/img/@src"

    def image_url(self, url: str) -> str:
        return without_query(url)
