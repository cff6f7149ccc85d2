"""Requests are shown without their passwords."""

from urllib.parse import quote_from_bytes

import pytest

from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator.console.masking import (
    mask,
    shown_callback,
    shown_headers,
    shown_request,
)

SECRET = "S3cr&t p%ss"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a?user=u&password=S3cr%26t&GSM=1", "a?user=u&password=•••&GSM=1"),
        ("a?pass=S3cr%26t", "a?pass=•••"),
        ("a?%50ASSword=S3cr%26t&x=1", "a?%50ASSword=•••&x=1"),
        ("user=u&pass=S3cr%26t&destinations=1", "user=u&pass=•••&destinations=1"),
        ("password=", "password=•••"),
        ("<password>S3cr</password><a>", "<password>•••</password><a>"),
        ("<Password >S3cr</Password >", "<Password >•••</Password >"),
        ("<password>S3cr", "<password>•••"),
        ("<password><![CDATA[S3<cr]]></password>", "<password>•••</password>"),
        ("XML=%3Cpassword%3ES3cr%3C%2Fpassword%3E", "XML=%3Cpassword%3E•••%3C%2Fpassword%3E"),
        ("%3cpassword%3eS3cr%3c/password%3e", "%3cpassword%3e•••%3c/password%3e"),
        (
            'form-data; name="password"\r\n\r\nS3cr\r\n--b\r\n',
            'form-data; name="password"\r\n\r\n•••\r\n--b\r\n',
        ),
        ("SMSText=the+password+is+x", "SMSText=the+password+is+x"),
    ],
)
def test_passwords(given, shown) -> None:
    """In XML, in queries, in forms, encoded or not; texts stay as they are."""
    assert mask(given) == shown


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", [b"", b"XML="])
@pytest.mark.parametrize("encode", [bytes, quote_from_bytes])
def test_bodies(charset, name, encode) -> None:
    """In any charset that a gateway reads, encoded or not."""
    document = encode("<SMS><password>S3cr</password></SMS>".encode(charset))
    body = name + (document.encode() if isinstance(document, str) else document)
    _, shown = shown_request(HttpRequest("POST", "/x", body))
    assert ("S3cr" in shown, "•••" in shown) == (False, True)


@pytest.mark.parametrize(
    "piece", ['name="pass', "<password>", "<password><!", "%3Cpassword%3E", "&pass", "<   ", "< +"]
)
def test_it_takes_time_in_proportion(piece) -> None:
    """A request that is made to be looked through again and again."""
    assert mask(piece * (200_000 // len(piece)))


def test_headers() -> None:
    """Those that log in are masked; so is a password in the address of a page."""
    given = [(b"Host", b"here"), (b"AUTHORIZATION", b"Basic eDp5"), (b"Referer", b"/?password=x")]
    assert shown_headers(given) == [
        ("Host", "here"),
        ("AUTHORIZATION", "•••"),
        ("Referer", "/?password=•••"),
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:80/infobip/s3cret/dlr", "http://127.0.0.1:80/•••/dlr"),
        ("http://user:pw@host/dlr", "http://host/dlr"),
        ("https://host/s3cret/inbound?text=a", "https://host/•••/inbound?text=a"),
    ],
)
def test_callback_urls(url, shown) -> None:
    """The secret of a receiver is in its path."""
    assert shown_callback(url) == shown
