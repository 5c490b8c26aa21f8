from imgcrawl.basespiders import AddressesSpider


class UrlsSpider(AddressesSpider):
    """Any list of addresses of images: autohome's, or yours."""

    name = "urls"
    custom_settings = {"IMAGES_NAME": "{spider}/{host}/{basename}"}
