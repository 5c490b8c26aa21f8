"""What tells one address from another, and what does not."""

from __future__ import annotations

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.identity import SESSIONS, SIGNATURES, Identity
from tests.support.crawling import project_settings

IMAGES, PAGES = Identity(SIGNATURES, careful=True), Identity(SESSIONS)
SID = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("signed", "known_as"),
    [
        ("http://a/i.jpg?expires=1790000000&sig=ab", "http://a/i.jpg"),
        ("http://a/i.jpg?w=90&X-Amz-Date=1&X-Amz-Signature=%2F2#x", "http://a/i.jpg?w=90#x"),
        ("http://a/i.png?Policy=a&Signature=b&Key-Pair-Id=c", "http://a/i.png"),
        ("http://a/i.png?hdnts=exp=1~hmac=2", "http://a/i.png"),
        ("http://a/i.jpg?se=2026-01-01T00:00:00Z&sr=b&sig=X", "http://a/i.jpg?sr=b"),
        ("http://a/i.jpg?x-oss-process=w&x-oss-date=1&x-oss-signature=2", "http://a/i.jpg?x-oss-process=w"),
        ("http://a/i.jpg?auth_key=1-0-0-ab", "http://a/i.jpg"),
        (
            "http://a/i.jpg?q-sign-time=1;2&q-ak=k&q-signature=x&imageMogr2/format/webp",
            "http://a/i.jpg?imageMogr2/format/webp",
        ),
        ("http://a/i.jpg?x-tos-process=p&x-tos-date=1&x-expires=1&x-signature=2", "http://a/i.jpg?x-tos-process=p"),
        ("http://a/i.jpg?KID=imgbed,tva&Expires=1&ssig=2", "http://a/i.jpg"),
        ("http://a/i.jpg?validfrom=1&validto=2&rate=3", "http://a/i.jpg?rate=3"),
        ("http://a/images/172839?token=a", "http://a/images/172839"),
        ("http://a/show?name=a.jpg&token=a", "http://a/show?name=a.jpg"),
        # What might be the only thing that says which image it is, is not left out …
        ("http://a/image?token=a", "http://a/image?token=a"),
        ("http://a/get.php?v=2&token=a", "http://a/get.php?v=2&token=a"),
        # … and what is no signature never is.
        ("http://a/i.jpg?e=5&st=3&se=2", "http://a/i.jpg?e=5&st=3&se=2"),
        ("http://a/i.jpg", "http://a/i.jpg"),
    ],
)
def test_a_signed_image_is_known_without_its_signature(signed: str, known_as: str) -> None:
    assert IMAGES.of(signed) == known_as


HEX = "0123456789abcdef" * 4

# What stays, and what is signed, with values that are others each night.
WRITINGS = {
    "CloudFront": ("", "Expires=1790000000&Signature=ab~cd-ef__&Key-Pair-Id=APKA"),
    "CloudFront, policy": ("Hash-Algorithm=SHA256", "Policy=eyJ&Signature=ab&Key-Pair-Id=K1"),
    "S3 v2": ("", "AWSAccessKeyId=AK&Expires=1790000000&Signature=x%3D"),
    "S3 v4": (
        "x-id=GetObject",
        "X-Amz-Algorithm=AWS4&X-Amz-Credential=a%2F2&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900"
        "&X-Amz-SignedHeaders=host&X-Amz-Signature=ff&X-Amz-Security-Token=t",
    ),
    "Google v2": ("", "GoogleAccessId=a%40b&Expires=1790000000&Signature=x"),
    "Google v4": ("", "X-Goog-Algorithm=G&X-Goog-Credential=a&X-Goog-Date=1&X-Goog-Expires=9&X-Goog-Signature=ab"),
    "Google CDN": ("", "URLPrefix=aHR0cHM6&Expires=1790000000&KeyName=ka&Signature=abc"),
    "Google Media CDN": ("", "Edge-Cache-Token=Expires=1790000000~KeyName=k~Signature=abc"),
    "Firebase": ("alt=media", "token=0a1b2c3d-1111-2222-3333-444455556666"),
    "Azure": ("sv=2022-11-02&sr=b&sp=r", "st=2026-01-01T00%3A00%3A00Z&se=2026-02-01T00%3A00%3A00Z&sig=abc%3D"),
    "Azure, account": ("sv=2022&ss=b&srt=o&sp=rl&spr=https", "se=2026-02-01T00:00:00Z&st=2026-01-01T00:00:00Z&sig=abc"),
    "Azure, user": ("sv=2020", "skoid=a&sktid=b&skt=2026-01-01T0:0:0Z&ske=2026-01-02T0:0:0Z&sks=b&skv=2020&sig=abc"),
    "Akamai": ("", f"hdnts=st=1790000000~exp=1790003600~acl=/*~hmac={HEX}"),
    "Akamai, hdnea": ("", f"hdnea=exp=1790003600~hmac={HEX}"),
    "Akamai, token": ("", f"__token__=exp=1790003600~hmac={HEX}"),
    "Akamai, gda": ("", f"__gda__=1790003600_{HEX[:32]}"),
    "imgix": ("w=800", f"expires=1790000000&s={HEX[:32]}"),
    "Facebook": ("stp=dst-jpg&ccb=1-7", "_nc_cat=1&_nc_sid=5f2048&efg=eyJ2&_nc_ohc=aB&_nc_oc=Ad&oh=00_AfB&oe=66A1B2C3"),
    "Instagram": ("stp=e35&ccb=7-5", "efg=eyJ2&_nc_ohc=a&edm=AP&ig_cache_key=MzM%3D.3-ccb7-5&oh=00_Af&oe=66A1B2C3"),
    "Alibaba v1": ("", "OSSAccessKeyId=a&Expires=1790000000&Signature=x&security-token=t1"),
    "Alibaba v4": ("", "x-oss-signature-version=OSS4&x-oss-credential=c&x-oss-date=20260101T0Z&x-oss-signature=ab"),
    "Alibaba CDN": ("", f"auth_key=1790000000-0-0-{HEX[:32]}"),
    "Tencent COS": (
        "",
        "q-sign-algorithm=sha1&q-ak=a&q-sign-time=1%3B2&q-key-time=1%3B2&q-header-list=&q-signature=f5",
    ),
    "Tencent CDN A": ("", f"sign=1790000000-abc-0-{HEX[:32]}"),
    "Tencent CDN D": ("", f"sign={HEX[:32]}&t=1790000000"),
    "Qiniu": ("imageView2/2/w/800", "e=1790000000&token=ak:sig="),
    "Qiniu CDN": ("", f"sign={HEX[:32]}&t=66a1b2c3"),
    "Bunny": ("token_countries=US", "token=HS256-abc&token_path=%2Fi%2F&expires=1790000000"),
    "Fastly": ("", f"token=1790000000_{HEX}"),
    "Cloudflare": ("", "verify=1790000000-abc%2Bd%3D"),
    "Cloudflare Images": ("", f"exp=1790000000&sig={HEX}"),
    "Cloudinary": ("_a=BAMCkGcc0", f"__cld_token__=st=1~exp=2~hmac={HEX}"),
    "KeyCDN": ("", "token=abc&expire=1790000000"),
    "nginx": ("", "md5=abcDEF_-&expires=1790000000"),
    "StackPath": ("", "st=abcdefghijklmnopqrstuv&e=1790000000"),
    "CDN77": ("", "secure=abcdefghijklmnopqrstuv%3D%3D,1790000000"),
    "Huawei": ("", "AccessKeyId=a&Expires=1790000000&Signature=x&x-obs-security-token=t1"),
    "Volcengine": ("", "X-Tos-Algorithm=TOS4&X-Tos-Credential=c&X-Tos-Date=d&X-Tos-Expires=9&X-Tos-Signature=a"),
    "ByteDance": (
        "dr=14579&ps=13740610",
        "lk3s=8ea05a76&refresh_token=b1&idc=ma&t=4d5b0474&x-expires=1790&x-signature=a",
    ),
    "Baidu BOS": ("", "authorization=bce-auth-v1%2Fak%2F2026-01-01T00%3A00%3A00Z%2F300%2Fhost%2Fff"),
    "Baidu": ("wh_rate=null", f"tbpicau=2026-01-01-05_{HEX[:32]}"),
    "Wangsu": ("", f"wsSecret={HEX[:32]}&wsTime=66a1b2c3"),
    "Tencent video": ("", f"txSecret={HEX[:32]}&txTime=66A1B2C3"),
    "Weibo": ("", "KID=imgbed,tva&Expires=1790000000&ssig=ab"),
    "Discord": ("", f"ex=66a1b2c3&is=66a06143&hm={HEX}&"),
    "Backblaze": ("", "Authorization=3_2026_abc"),
    "Kakao": ("allow_ip=&allow_referer=", "credential=abc&expires=1790000000&signature=x"),
    "Patreon": ("", "token-time=1790000000&token-hash=abcDEF%3D"),
    "LinkedIn": ("v=beta", "e=1790000000&t=AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdefg"),
    "Limelight": ("p=16", f"e=1790000000&cf=1790003600&h={HEX[:32]}"),
    "VK": ("size=960x1280&quality=96&type=album", f"sign={HEX[:32]}"),
    "DeviantArt": ("", "token=eyJ0eXAiOiJKV1Qi.eyJzdWIi.abc"),
    "JWT": ("", "jwt=eyJ0eXAiOiJKV1Qi.eyJzdWIi.abc"),
    "ImageKit": ("tr=w-300", f"ik-s={HEX[:40]}&ik-t=1790000000"),
    "Yandex": ("", "ts=66a1b2c3&hmac=ab"),
}


def _the_next_night(value: str) -> str:
    return value.translate(str.maketrans("456789", "547698")).replace("ab", "ba")


@pytest.mark.parametrize("writing", WRITINGS)
def test_an_image_that_is_signed_anew_each_night_is_known_the_second_night(writing: str) -> None:
    stays, changes = WRITINGS[writing]
    names = [part.partition("=") for part in changes.split("&")]
    later = "&".join(f"{name}{equals}{_the_next_night(value)}" for name, equals, value in names)
    assert later != changes
    queries = ["&".join(filter(None, (stays, each))) for each in (changes, later)]
    assert {IMAGES.of(f"https://h/i/photo.jpg?{query}") for query in queries} == {
        "?".join(filter(None, ("https://h/i/photo.jpg", stays)))
    }
    assert IMAGES.of(f"https://h/i/other.jpg?{queries[0]}") != IMAGES.of(f"https://h/i/photo.jpg?{queries[0]}")


@pytest.mark.parametrize(
    "query",
    [
        "s=200", "s=80&d=identicon", f"s={HEX[:32]}", f"s={HEX[:40]}&w=90", "t=5", "t=1790000000", "h=600",
        f"t={HEX[:8]}", f"h={HEX[:32]}", "e=5&h=90", "ts=1790000000", "v=2", "id=12345", "efg=1", "idc=2",
        "credential=a", "keyname=a", "cf=1790000000", "secure=1", "st=3&sp=r&sr=b", "lk3s=1",
        f"photo={HEX}", "as=32x24&u=AbC&cs=960x720",
    ],
)  # fmt: skip
def test_what_may_be_a_size_or_a_name_is_no_signature(query: str) -> None:
    assert IMAGES.of(f"https://h/i/photo.jpg?{query}") == f"https://h/i/photo.jpg?{query}"


def test_what_tells_two_images_of_one_gallery_apart_is_not_left_out() -> None:
    one, other, third = (f"http://a/i{name}.jpg?token={token}" for name, token in (("", 1), ("", 2), ("3", 3)))
    assert IMAGES.of_all([one, other, third, None, ["a"], "http://a/b.jpg"]) == {third: "http://a/i3.jpg"}


@pytest.mark.parametrize("query", ["sign=libra", "exp=2", "md5=x", "token=1"])
def test_what_one_image_of_a_gallery_is_called_is_no_name_of_another(query: str) -> None:
    plain, other = "http://a/photo.jpg", f"http://a/photo.jpg?{query}"
    assert IMAGES.of_all([plain, other]) == {}
    assert IMAGES.of_all([other, plain, other]) == {}
    assert IMAGES.of_all([other, other]) == {other: plain}


def test_only_what_says_when_it_ends_makes_a_signature_of_s() -> None:
    for until in ("exp", "expires", "expire", "expiry"):
        assert IMAGES.of(f"http://a/i.jpg?s={SID}&{until}=1790000000") == "http://a/i.jpg"
    for other in ("export", "exposure", "expand"):
        address = f"http://a/i.jpg?s={SID}&{other}=1"
        assert IMAGES.of(address) == address


@pytest.mark.parametrize(
    ("address", "known_as"),
    [
        ("http://a/g/1?PHPSESSID=x", "http://a/g/1"),
        ("http://a/g;jsessionid=x?p=1", "http://a/g?p=1"),
        (f"http://a/v?t=1&sid={SID}", "http://a/v?t=1"),
        ("http://a/v?sid=12", "http://a/v?sid=12"),
        ("http://a/v?utm_source=x&p=1", "http://a/v?p=1"),
    ],
)
def test_a_page_is_known_without_the_session_of_who_asks(address: str, known_as: str) -> None:
    assert PAGES.of(address) == known_as


def test_a_name_that_leaves_everything_out_is_refused() -> None:
    settings = project_settings()
    settings.set("IMAGES_QUERY_IGNORED", ["*"])
    with pytest.raises(InputError, match="names of parameters"):
        Identity.of_images(settings)
