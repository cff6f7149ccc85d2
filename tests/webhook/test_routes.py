"""Which requests are ours: the mount point, the secret, the path, the method."""

import attrs
import httpx
import pytest
from aiohttp import http_parser, web, web_protocol

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES
from infobip_async.router import Router
from infobip_async.webhook import callback_urls, listening, webhook_app

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


def below(*prefixes: str):
    """Mount an application into another, and that one into the next."""

    def mount(app: web.Application) -> web.Application:
        for prefix in prefixes:
            outer = web.Application()
            outer.add_subapp(prefix, app)
            app = outer
        return app

    return mount


@pytest.mark.parametrize(
    ("prefixes", "path"), [((), ""), (("/sms",), "/sms"), (("/x", "/a/b"), "/a/b/x")]
)
async def test_mount_points(start, secret, prefixes, path):
    """The routes work alone, at any prefix, and below other sub-applications."""
    receiver = await start(mount=below(*prefixes))

    reply = await receiver.request("POST", f"{path}/{secret}/dlr", REPORT)

    assert (reply.status, len(receiver.events)) == (200, 1)
    assert (await receiver.request("POST", f"{path}/dlr", REPORT)).status == 404


async def test_an_address_of_its_own(secret):
    """Without a host, the application listens on a free port; one that is taken is refused."""
    app = webhook_app(Router(), secret=secret)
    async with listening(app) as base_url, httpx.AsyncClient(verify=False) as http:
        url = callback_urls(base_url, secret=secret).delivery_reports
        assert (await http.post(url, content=REPORT)).status_code == 200
        with pytest.raises(OSError, match="in use"):
            async with listening(web.Application(), port=int(base_url.rpartition(":")[2])):
                pass


async def test_the_hosts_own_routes(start):
    """The host's routes beside ours are not touched."""

    async def own(_: web.Request) -> web.Response:
        return web.Response(text="own")

    def mount(app: web.Application) -> web.Application:
        root = below("/sms")(app)
        root.router.add_get("/own", own)
        return root

    assert (await (await start(mount=mount)).request("GET", "/own")).body == b"own"


@pytest.mark.parametrize("secret", ["the-first-one", "the-other-one"])
async def test_several_secrets(start, secret):
    """While one secret replaces another, both are good."""
    receiver = await start(secret=["the-first-one", "the-other-one"])

    assert (await receiver.request("POST", f"/{secret}/dlr", REPORT)).status == 200


async def test_no_secret(start):
    """An explicit None means no segment for it, and not any segment."""
    receiver = await start(secret=None)

    assert (await receiver.request("POST", "/dlr", REPORT)).status == 200
    for path in ("//dlr", "/x/dlr", "/None/dlr", "/dlr/"):
        assert (await receiver.request("POST", path, REPORT)).status == 404


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "..",
        [],
        ["good", ""],
        "with/a-slash",
        "with a space",
        "é" * 8,
        "x" * 201,
    ],
)
def test_refused_secrets(secret):
    """A secret that is empty, or no segment of a path, is refused, and not repeated."""
    for attempt in (
        lambda: webhook_app(Router(), secret=secret),
        lambda: callback_urls("https://sms.example.com", secret=secret),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            attempt()
        assert caught.value.field == "secret"
        assert not secret or secret == ".." or str(secret) not in str(caught.value)


def without_date(reply):
    """What of a reply does not change from second to second."""
    headers = {name: value for name, value in reply.headers.items() if name != "Date"}
    return attrs.evolve(reply, headers=headers)


async def test_a_wrong_secret_is_a_wrong_path(receiver, secret, warnings_of):
    """Status, headers and body do not tell a wrong secret from a wrong path or method."""
    attempts = [
        ("POST", "/a-secret-of-the-testt/dlr"),
        ("POST", "/a-secret-of-the-test/dlr"),
        ("GET", "/a-secret-of-the-testt/dlr"),
        ("PUT", "/a-secret-of-the-testt/nothing"),
        ("POST", f"/{secret}/nothing"),
        ("POST", f"/{secret}/dlr%0A"),
        ("GET", f"/{secret}"),
        ("POST", "/"),
        ("POST", "/dlr"),
    ]

    replies = [without_date(await receiver.request(*attempt, REPORT)) for attempt in attempts]

    assert replies == replies[:1] * len(replies)
    assert (replies[0].status, replies[0].body) == (404, b"404: Not Found")
    assert (receiver.events, warnings_of()) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "//{}/dlr",
        "/{}//dlr",
        "/{}/dlr/",
        "/{}/dlr%00",
        "/{}/dlr%0A",
        "/{}%2Fdlr",
        "/{}/x/../dlr",
        "/x/../{}/dlr",
        "/./{}/dlr",
        "/{}/DLR",
        "/{}/dlr;x=1",
        "/%FF/dlr",
        "/{}/%64lr",
    ],
)
async def test_path_tricks(receiver, secret, path):
    """A path that only looks like one of ours is not."""
    assert (await receiver.request("POST", path.format(secret), REPORT)).status == 404
    assert (await receiver.request("POST", f"/{secret.upper()}/dlr", REPORT)).status == 404


async def test_a_path_of_any_octets(start, monkeypatch):
    """The parser that aiohttp has in Python lets octets through that are no text."""
    monkeypatch.setattr(web_protocol, "HttpRequestParser", http_parser.HttpRequestParserPy)
    receiver = await start()

    reply = await receiver.send(b"POST /\xff/dlr HTTP/1.1\r\nHost: x\r\n\r\n")

    assert reply.status == 404


@pytest.mark.parametrize(
    ("method", "name", "allowed"),
    [
        ("GET", "dlr", "POST"),
        ("PUT", "hlr", "POST"),
        ("POST", "inbound", "GET"),
        ("HEAD", "inbound", "GET"),
        ("OPTIONS", "inbound", "GET"),
    ],
)
async def test_wrong_methods(receiver, secret, method, name, allowed):
    """Whoever knows the secret is told the right method."""
    reply = await receiver.request(method, f"/{secret}/{name}?text=x&sender=1")

    assert (reply.status, reply.headers["Allow"], receiver.events) == (405, allowed, [])


@pytest.mark.parametrize("base", ["https://sms.example.com/infobip", "http://x:8080/infobip/"])
def test_callback_urls(base):
    """The three addresses, with the placeholders of §6, and none of them in the repr."""
    urls = callback_urls(base, secret="long-random-string", inbound={"who": "sender", "w": "text"})

    root = base.rstrip("/") + "/long-random-string"
    assert urls.delivery_reports == f"{root}/dlr"
    assert urls.hlr_reports == f"{root}/hlr"
    assert urls.inbound_sms == f"{root}/inbound?who=%sender%&w=%text%"
    assert "long-random-string" not in repr(urls)


def test_callback_urls_of_several_secrets():
    """Of several secrets the first is the one to enter."""
    urls = callback_urls("https://x", secret=["the-first-one", "the-other-one"])

    assert urls.delivery_reports == "https://x/the-first-one/dlr"


def test_callback_urls_without_a_secret():
    """Without a secret there is no segment for one, and the parameters have their usual names."""
    urls = callback_urls("https://x", secret=None)

    assert urls.hlr_reports == "https://x/hlr"
    assert urls.inbound_sms == "https://x/inbound?" + "&".join(
        f"{name}=%{name}%" for name in DEFAULT_NAMES
    )


@pytest.mark.parametrize(
    "base", ["", "sms.example.com", "ftp://x", "https:///p", "http://x?a", "http://x#a"]
)
def test_no_base(base):
    """A base that nothing can be put behind is refused."""
    with pytest.raises(LocalProtocolError, match="base: "):
        callback_urls(base, secret=None)


def test_no_inbound_url():
    """Names that no inbound URL can have are refused where they are given."""
    for attempt in (
        lambda: webhook_app(Router(), secret=None, inbound={"who": "sender"}),
        lambda: callback_urls("https://x", secret=None, inbound={"who": "sender"}),
    ):
        with pytest.raises(LocalProtocolError, match="inbound: "):
            attempt()
