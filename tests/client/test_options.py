"""Each option of the client, as it shows on the wire."""

import asyncio
import itertools
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infobip_async import (
    Endpoints,
    InfobipClient,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    TextMessage,
    Ucs2Form,
)
from jumping import jump, turns, until
from platforms import needs_linux

TEXT = TextMessage("Hello", "Friend")
NUMBER = "385911234567"
ELSEWHERE = "http://gateway.example"


async def test_concurrency(gateway, connect, kind) -> None:
    """No more calls are under way than it says, whoever has the connections."""
    gateway.gate.clear()
    client = connect(kind, concurrency=3)
    sends = [asyncio.create_task(client.send(TEXT, NUMBER)) for _ in range(20)]
    await gateway.until(lambda: gateway.busy == 3)
    await turns()
    gateway.gate.set()
    await asyncio.gather(*sends)
    assert gateway.busiest == gateway.connections == 3


async def test_concurrency_behind_a_proxy(gateway, connect) -> None:
    """It is the option's as well, and not a limit of the library that knows proxies."""
    gateway.gate.clear()
    endpoints = Endpoints.at(ELSEWHERE)
    client = connect(proxy=gateway.url, endpoints=endpoints, allow_insecure=True, concurrency=101)
    sends = [asyncio.create_task(client.send(TEXT, NUMBER)) for _ in range(102)]
    await gateway.until(lambda: gateway.busy == 101)
    await turns()
    gateway.gate.set()
    await asyncio.gather(*sends)
    assert gateway.busiest == gateway.connections == 101


@needs_linux  # elsewhere a queue has room for more than it says, or refuses what is too much
async def test_connect_timeout(connect, kind) -> None:
    """Against a host whose queue of connections is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        endpoints = Endpoints.at("http://{}:{}".format(*full.getsockname()))
        client = connect(kind, endpoints=endpoints, connect_timeout=600, connect_retries=0)
        asking = asyncio.create_task(client.credits())
        await turns()
        assert not asking.done()
        await jump(600)
        await until(asking.done)  # the system gives up later
        with pytest.raises(NotSentError, match="ConnectTimeout"):
            await asking
        for one in waiting:
            one.close()


async def test_read_timeout(gateway, connect, kind) -> None:
    """Against a gateway that takes the request and says nothing."""
    gateway.gate.clear()
    asking = asyncio.create_task(connect(kind, read_timeout=600).credits())
    await gateway.until(lambda: gateway.busy)
    await jump(500)
    assert not asking.done()
    await jump(100)
    with pytest.raises(OutcomeUnknownError, match="ReadTimeout"):
        await asking


async def test_timeouts_of_none_wait(gateway, connect, kind) -> None:
    """For as long as it takes."""
    gateway.gate.clear()
    client = connect(kind, connect_timeout=None, read_timeout=None, write_timeout=None)
    asking = asyncio.create_task(client.credits())
    await gateway.until(lambda: gateway.busy)
    await jump(24 * 3600)
    gateway.gate.set()
    assert str(await asking) == "7.16"


async def test_the_clients_timeouts_hold_for_an_injected_one(gateway, connect) -> None:
    """Not those that it has of its own."""
    gateway.gate.clear()
    async with httpx.AsyncClient(verify=False, timeout=1) as http:
        asking = asyncio.create_task(connect(http=http).credits())
        await gateway.until(lambda: gateway.busy)
        await jump(10)
        gateway.gate.set()
        assert str(await asking) == "7.16"


async def test_stop_timeout(gateway, connect) -> None:
    """Closing waits so long for what is under way."""
    gateway.gate.clear()
    client = connect(stop_timeout=600, read_timeout=None)
    asking = asyncio.create_task(client.credits())
    await gateway.until(lambda: gateway.busy)
    closing = asyncio.create_task(client.aclose())
    await jump(500)
    assert not closing.done()
    await jump(100)
    await closing
    with pytest.raises(OutcomeUnknownError):
        await asking


# --- proxies ---


async def test_a_proxy_gets_the_request_in_absolute_form(gateway, connect, call) -> None:
    """The gateway's name is resolved there."""
    client = connect(proxy=gateway.url, endpoints=Endpoints.at(ELSEWHERE), allow_insecure=True)
    assert call.result in repr(await call.make(client))
    (request,) = gateway.received
    assert request.target.startswith(f"{ELSEWHERE}/")
    assert request.headers["host"] == "gateway.example"


@pytest.mark.rounds(1)
async def test_a_fault_behind_a_proxy(gateway, connect, call, fault) -> None:
    """Is as one without: made once, and unknown."""
    client = connect(proxy=gateway.url, endpoints=Endpoints.at(ELSEWHERE), allow_insecure=True)
    gateway.fault = fault
    with pytest.raises(call.error(fault)):
        await call.make(client)
    assert len(gateway.received) == call.copies(fault)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("407 Proxy Authentication Required", "the proxy wants a login, or refuses the one"),
        ("403 Forbidden", "the proxy refuses to connect to the gateway"),
        ("502 Bad Gateway", "the proxy could not reach the gateway"),
        ("504 Gateway Timeout", "the proxy could not reach the gateway"),
    ],
)
async def test_a_proxy_that_refuses_a_tunnel_sends_nothing(gateway, connect, status, why) -> None:
    """Its own request carries nothing of ours; a login that is refused is not tried again."""
    gateway.tunnel_status = f"{status} secret"
    client = connect(proxy=gateway.url, endpoints=Endpoints.at("https://gateway.example"))
    with pytest.raises(NotSentError) as caught:
        await client.submit_hlr(NUMBER)
    assert str(caught.value).startswith(f"{why}")
    assert str(caught.value).endswith(f", nothing was sent (ProxyError: HTTP {status[:3]})")
    final = status.startswith("407")
    assert caught.value.final is final
    assert [request.method for request in gateway.received] == ["CONNECT"] * (1 if final else 2)


async def test_a_proxy_that_wants_a_login_for_plain_http(gateway, connect, call) -> None:
    """Is told from a gateway that wants one; what was ordered is in doubt, since it has left."""
    client = connect(proxy=gateway.url, endpoints=Endpoints.at(ELSEWHERE), allow_insecure=True)
    gateway.once(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "keep")
    with pytest.raises(call.unanswered, match="HTTP 407 from the proxy: is its login right"):
        await call.make(client)


async def test_a_proxy_that_does_not_answer_sends_nothing(gateway, connect) -> None:
    """It is the proxy, not the gateway."""
    gateway.tunnel_status = "no HTTP"
    client = connect(proxy=gateway.url, endpoints=Endpoints.at("https://gateway.example"))
    with pytest.raises(NotSentError, match=r"^the proxy did not answer, nothing"):
        await client.credits()


async def test_a_proxy_that_cannot_be_reached_sends_nothing(gateway, connect, call) -> None:
    """Nothing goes past it."""
    await gateway.refuse()
    client = connect(proxy=gateway.url, endpoints=Endpoints.at("https://gateway.example"))
    with pytest.raises(NotSentError, match=r"^the proxy could not be reached, nothing"):
        await call.make(client)


async def test_the_environment_names_no_proxy(gateway, connect, monkeypatch, call) -> None:
    """It is not asked, nor for certificates or logins."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    assert call.result in repr(await call.make(connect()))
    client = connect(proxy=gateway.url, endpoints=Endpoints.at(ELSEWHERE), allow_insecure=True)
    assert call.result in repr(await call.make(client))


# --- what is never done ---


async def test_redirects_are_not_followed_and_cookies_not_kept(gateway, connect, call) -> None:
    """Not even by an injected client that would."""
    async with httpx.AsyncClient(verify=False, follow_redirects=True) as http:
        for client in (connect(), connect(http=http)):
            gateway.once(
                b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/dlrpull\r\n"
                b"Set-Cookie: session=1\r\nContent-Length: 0\r\n\r\n",
                "keep",
            )
            with pytest.raises(call.unanswered, match="307"):
                await call.make(client)
    await call.make(connect())
    assert len(gateway.received) == 3
    assert all("cookie" not in request.headers for request in gateway.received)


# --- addresses ---


@pytest.mark.parametrize(
    ("endpoints", "paths"),
    [
        (
            Endpoints.at,
            [
                "/AddOn/SMSService/XML/XMLInput.aspx",
                "/Addon/SMSService/SendSMS.aspx",
                "/Addon/SMSService/command.aspx",
                "/api/dlrpull",
                "/api/hlr/query.aspx",
                "/api/hlr/query.aspx",
            ],
        ),
        (
            Endpoints.later,
            [
                "/api/sendsms/xml",
                "/api/sendsms/plain",
                "/api/command",
                "/api/dlrpull",
                "/api/hlr",
                "/api/hlr",
            ],
        ),
    ],
)
async def test_endpoints(gateway, connect, calls, endpoints, paths) -> None:
    """Both sets of paths, under a base of the caller's."""
    for path, call in zip(paths, calls.values(), strict=True):
        gateway.bodies[path.rsplit("/", 1)[-1]] = gateway.bodies[call.service]
    client = connect(endpoints=endpoints(gateway.url))
    for call in calls.values():
        await call.make(client)
    assert [request.target.partition("?")[0] for request in gateway.received] == paths


def test_the_default_addresses_are_the_documents_over_https() -> None:
    """And they are in the repr, the password is not."""
    client = InfobipClient("user", "secret")
    assert "https://www.infobip.com/AddOn/SMSService/XML/XMLInput.aspx" in repr(client)
    assert "secret" not in repr(client)


@pytest.mark.parametrize("url", ["http://gateway.example", "http://10.0.0.1:8080"])
def test_allow_insecure(url) -> None:
    """A password in clear text leaves this machine only where that was asked for."""
    with pytest.raises(LocalProtocolError, match="allow_insecure"):
        InfobipClient("user", "secret", endpoints=Endpoints.at(url))
    InfobipClient("user", "secret", endpoints=Endpoints.at(url), allow_insecure=True)


async def test_an_injected_client_is_not_closed(gateway, connect) -> None:
    """It is the caller's."""
    async with httpx.AsyncClient(verify=False) as http:
        async with connect(http=http) as client:
            await client.credits()
        assert not http.is_closed
        assert (await http.get(f"{gateway.url}/command.aspx")).text == "7.16"


UNUSED = httpx.AsyncClient(verify=False)
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("why", "options"),
    [
        ("username: username and password must be given", {"username": ""}),
        ("username: username and password must be given", {"password": ""}),
        ("http: it brings its own", {"http": UNUSED, "proxy": "http://127.0.0.1:9"}),
        (
            "http: it brings its own",
            {"http": UNUSED, "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
        ),
        ("http: it brings its own", {"http": UNUSED, "ca_file": __file__}),
        ("concurrency: is too small", {"concurrency": 0}),
        ("connect_retries: is too small", {"connect_retries": -1}),
        ("endpoints: see Endpoints.at", {"endpoints": "https://gateway.example"}),
        ("proxy: not an http or https URL", {"proxy": "ftp://127.0.0.1"}),
        ("proxy: cannot be read as the URL of a proxy", {"proxy": "http://\u0663.example"}),
        (f"ca_file: {__file__} has no PEM certificate", {"ca_file": __file__}),
        (f"ca_file: {HERE} cannot be read: ", {"ca_file": HERE}),
        ("ca_file: /no/such/file cannot be read: No such", {"ca_file": "/no/such/file"}),
        (
            "ca_file: give it or ssl_context",
            {"ca_file": __file__, "ssl_context": ssl.create_default_context()},
        ),
    ],
)
def test_wrong_options(why, options) -> None:
    """Are refused, by their name and with the reason."""
    with pytest.raises(LocalProtocolError) as caught:
        InfobipClient(**{"username": "user", "password": "secret"} | options)
    assert str(caught.value).startswith(why)
    assert caught.value.field == why.partition(":")[0]


# --- contents ---


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({}, "<binary>0436</binary><datacoding>8</datacoding>"),
        ({"ucs2": Ucs2Form.TEXT}, "<text>ж</text><datacoding>8</datacoding>"),
    ],
)
async def test_ucs2(gateway, connect, options, content) -> None:
    """How text beyond the GSM alphabet goes on the wire."""
    await connect(**options).send(TextMessage("ж", "Friend"), NUMBER)
    assert content in httpx.QueryParams(gateway.received[0].body.decode())["XML"]


@pytest.mark.parametrize(
    ("width", "header", "ends"), [(8, "<binary>050003", (6, 8)), (16, "<binary>060804", (6, 10))]
)
async def test_reference_width(gateway, connect, width, header, ends) -> None:
    """The parts of a text have a number in common, and the next text another."""
    client = connect(reference_width=width)
    for _ in range(2):
        await client.send(TextMessage("ж" * 100, "Friend"), NUMBER)
    documents = [httpx.QueryParams(request.body.decode())["XML"] for request in gateway.received]
    binaries = [document[document.index(header) + 8 :] for document in documents]
    references = [binary[slice(*ends)] for binary in binaries]
    assert references[0] == references[1] != references[2] == references[3]


async def test_zone(gateway, connect) -> None:
    """Dates of reports are naive without it."""
    gateway.bodies["dlrpull"] = (
        b'<DeliveryReport><message id="1" donedate="2010/8/2 14:55:10" status="DELIVERED"/>'
        b"</DeliveryReport>"
    )
    (naive,) = await connect().pull_reports()
    (aware,) = await connect(zone=UTC).pull_reports()
    assert naive.done_at == datetime(2010, 8, 2, 14, 55, 10)  # noqa: DTZ001 - that is the point
    assert aware.done_at == datetime(2010, 8, 2, 14, 55, 10, tzinfo=UTC)


# --- the environment ---


async def test_from_env(gateway, monkeypatch) -> None:
    """Login and base URL; options are those of the class, and win."""
    monkeypatch.setenv("INFOBIP_USERNAME", "someone")
    monkeypatch.setenv("INFOBIP_PASSWORD", "something")
    monkeypatch.setenv("INFOBIP_BASE_URL", gateway.url)
    async with InfobipClient.from_env() as client:
        await client.credits()
    assert gateway.received[0].target.endswith("?username=someone&password=something&cmd=CREDITS")
    monkeypatch.setenv("INFOBIP_BASE_URL", "http://127.0.0.1:9")
    async with InfobipClient.from_env(endpoints=Endpoints.at(gateway.url)) as client:
        await client.credits()
    monkeypatch.delenv("INFOBIP_BASE_URL")
    assert "https://www.infobip.com" in repr(InfobipClient.from_env())


@pytest.mark.parametrize(
    ("name", "end"),
    [
        *itertools.product(["INFOBIP_USERNAME", "INFOBIP_PASSWORD"], ["\r", "\n", "\r\n"]),
        *itertools.product(["INFOBIP_BASE_URL"], ["\r", " ", "\u00a0", "\u200e"]),
    ],
)
def test_the_end_of_a_line_in_the_environment(monkeypatch, name, end) -> None:
    """As a file with Windows line ends leaves it: the variable is named, and the reason."""
    login = {"INFOBIP_USERNAME": "someone", "INFOBIP_PASSWORD": "something"}
    for one, value in (login | {"INFOBIP_BASE_URL": "https://gateway.example"}).items():
        monkeypatch.setenv(one, value + (end if one == name else ""))
    with pytest.raises(LocalProtocolError, match=f"{name}: .*Windows line end") as caught:
        InfobipClient.from_env()
    assert "something" not in str(caught.value)


@pytest.mark.parametrize("name", ["INFOBIP_USERNAME", "INFOBIP_PASSWORD"])
def test_from_env_without_a_variable(monkeypatch, name) -> None:
    """Which one is missing is said."""
    monkeypatch.setenv("INFOBIP_USERNAME", "someone")
    monkeypatch.setenv("INFOBIP_PASSWORD", "something")
    monkeypatch.setenv(name, "")
    with pytest.raises(LocalProtocolError, match=name):
        InfobipClient.from_env()
