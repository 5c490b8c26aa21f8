from imgcrawl.basespiders import DomainsSpider


class AlexaSpider(DomainsSpider):
    """The first pages of the most popular sites: `rank,domain`, as in top-1m.csv.zip."""

    name = "alexa"
    custom_settings = {"IMAGES_NAME": "{spider}/{domain}/{basename}"}

    # DomainsSpider
    columns = {"rank": 0, "domain": 1}
