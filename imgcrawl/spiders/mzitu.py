from imgcrawl.basespiders import SubpageGallerySpider


class MzituSpider(SubpageGallerySpider):
    """www.mzitu.com: one image on each sub-page of a gallery. The image host looks at the Referer."""

    name = "mzitu"
    custom_settings = {"IMAGES_NAME": "{spider}/{title}/{name}"}

    # GallerySpider
    list_url = "https://www.mzitu.com/page/{page}"
    gallery_links = "//ul[@id='pins']/li//a/@href"
    image_links = "//div[contains(@class, 'main-image')]//img/@src"
    titles = ("//h2[contains(@class, 'main-title')]", "//h2", "//title")

    # SubpageGallerySpider
    last_number = "//div[contains(@class, 'pagenavi')]/a[last() - 1]//text()"
