"""Connections over TLS, and what breaks them before anything is sent."""

import asyncio
import gc
import ssl
import subprocess
from pathlib import Path

import httpcore
import pytest

from infobip_async import (
    Endpoints,
    InfobipClient,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.client.sockets import SocketNetwork, SocketStream
from jumping import PATIENCE, turns, until
from platforms import OPENSSL, needs_openssl

pytestmark = needs_openssl

UNREACHED = "the gateway could not be reached, nothing was sent"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1 and gateway.example, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=gateway -addext subjectAltName=IP:127.0.0.1,DNS:gateway.example"
    )
    subprocess.run(  # noqa: S603 - fixed arguments
        [OPENSSL, *command.split(), "-keyout", path.with_suffix(".key"), "-out", path],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".key").read_bytes())
    return path


@pytest.fixture
def serving(certificate) -> ssl.SSLContext:
    """The gateway's side."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate) -> ssl.SSLContext:
    """Takes the gateway's certificate for good."""
    return ssl.create_default_context(cafile=certificate)


@pytest.fixture
async def secured(gateway, serving):
    """A gateway that speaks TLS."""
    await gateway.refuse()
    gateway.tls = serving
    await gateway.start()
    return gateway


async def test_the_ssl_context_is_used(secured, connect, trusting, call) -> None:
    """One handshake for several calls."""
    client = connect(ssl_context=trusting)
    for _ in range(3):
        assert call.result in repr(await call.make(client))
    assert secured.connections == 1


@pytest.mark.parametrize("kind_of_path", [str, Path])
async def test_the_certificates_of_a_file_are_trusted(
    secured, connect, certificate, call, kind_of_path
) -> None:
    """Such as those of a company."""
    assert call.result in repr(await call.make(connect(ca_file=kind_of_path(certificate))))


async def test_the_certificates_of_a_file_are_trusted_behind_a_proxy(
    gateway, connect, serving, certificate
) -> None:
    """The gateway's, in the tunnel."""
    url, gateway.tls = gateway.url, serving
    endpoints = Endpoints.at("https://gateway.example")
    client = connect(proxy=url, endpoints=endpoints, ca_file=certificate)
    assert str(await client.credits()) == "7.16"


async def test_a_tunnel_leads_through_a_proxy_with_tls_of_its_own(
    secured, connect, certificate
) -> None:
    """One handshake inside the other, once for several calls."""
    endpoints = Endpoints.at("https://gateway.example")
    client = connect(proxy=secured.url, endpoints=endpoints, ca_file=certificate)
    for _ in range(2):
        assert str(await client.credits()) == "7.16"
    assert secured.connections == 1


async def test_a_file_for_all_programs(secured, monkeypatch, certificate) -> None:
    """A client that is made of the environment trusts it, unless it is told what to trust."""
    monkeypatch.setenv("INFOBIP_USERNAME", "user")
    monkeypatch.setenv("INFOBIP_PASSWORD", "password")
    monkeypatch.setenv("INFOBIP_BASE_URL", secured.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with InfobipClient.from_env() as client:
        assert str(await client.credits()) == "7.16"
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with InfobipClient.from_env(ssl_context=strict) as client:
        with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.credits()
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with pytest.raises(LocalProtocolError, match="/no/such/file cannot be read"):
        InfobipClient.from_env()


async def test_an_unknown_certificate_is_refused(secured, connect, call) -> None:
    """Before anything is sent, and for this reason."""
    with pytest.raises(NotSentError) as caught:
        await call.make(connect())
    assert str(caught.value) == f"{UNREACHED} (ConnectError: CERTIFICATE_VERIFY_FAILED)"
    assert not secured.received


async def test_certificates_of_the_environment_are_not_trusted(
    secured, connect, certificate, monkeypatch
) -> None:
    """Whoever can set a variable cannot read what is sent."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
        await connect().credits()
    assert not secured.received


async def test_nor_are_they_behind_a_proxy(
    gateway, connect, serving, certificate, monkeypatch
) -> None:
    """The tunnel is there, and nothing goes through it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url, gateway.tls = gateway.url, serving
    client = connect(proxy=url, endpoints=Endpoints.at("https://gateway.example"))
    with pytest.raises(NotSentError) as caught:
        await client.credits()
    assert str(caught.value) == f"{UNREACHED} (ConnectError: CERTIFICATE_VERIFY_FAILED)"
    assert {request.method for request in gateway.received} == {"CONNECT"}


async def test_the_certificate_of_another_host_is_refused(secured, connect, trusting) -> None:
    """It names an address, and not this name of it."""
    endpoints = Endpoints.at(f"https://localhost:{secured.port}")
    with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
        await connect(ssl_context=trusting, endpoints=endpoints).credits()


async def test_a_gateway_that_speaks_no_tls(gateway, connect, trusting) -> None:
    """What it says instead is no handshake."""
    gateway.once(b"HTTP/1.1 400 Bad Request\r\n\r\n", stage="connect")
    endpoints = Endpoints.at(f"https://127.0.0.1:{gateway.port}")
    client = connect(ssl_context=trusting, endpoints=endpoints, connect_retries=0)
    with pytest.raises(NotSentError):
        await client.credits()


async def test_a_handshake_has_the_connect_timeout(gateway, connect, trusting) -> None:
    """Nothing was sent by then."""
    gateway.once(then="hang", stage="connect")
    client = connect(
        ssl_context=trusting,
        endpoints=Endpoints.at(f"https://127.0.0.1:{gateway.port}"),
        connect_retries=0,
    )
    with pytest.raises(NotSentError, match="ConnectTimeout"):
        await client.credits()
    await gateway.until(lambda: gateway.partial)
    gc.collect()  # a socket that was not closed would warn


async def test_a_client_that_is_closed_during_a_handshake_leaves_no_socket(
    gateway, connect, trusting
) -> None:
    """The exchange is cancelled there."""
    gateway.once(then="wait", stage="connect")
    endpoints = Endpoints.at(f"https://127.0.0.1:{gateway.port}")
    client = connect(ssl_context=trusting, endpoints=endpoints, stop_timeout=0.0)
    asking = asyncio.create_task(client.credits())
    await gateway.until(lambda: gateway.connections)
    await client.aclose()
    with pytest.raises(OutcomeUnknownError):
        await asking
    gc.collect()


async def test_what_comes_unasked_spoils_the_connection(secured, connect, trusting, calls) -> None:
    """Also where it is already unpacked from TLS."""
    client = connect(ssl_context=trusting)
    await calls["send"].make(client)
    (writer,) = secured._open
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    await turns()
    assert (await calls["send"].make(client)).accepted == 2
    assert secured.connections == 2


async def test_a_connection_lost_at_the_end_of_the_handshake(
    secured, connect, trusting, monkeypatch
) -> None:
    """Then asyncio has no transport to give."""
    loop = asyncio.get_running_loop()
    start_tls = loop.start_tls

    async def lost(*args, **kwargs) -> None:
        (await start_tls(*args, **kwargs)).abort()

    monkeypatch.setattr(loop, "start_tls", lost)
    with pytest.raises(NotSentError, match=r"\(ConnectError\)"):
        await connect(ssl_context=trusting).credits()


async def test_octets_in_front_of_the_handshake_are_refused(trusting) -> None:
    """Anybody on the way can put them there, as the beginning of a reply."""
    left = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stream = await SocketNetwork().connect_tcp("127.0.0.1", port)
        assert isinstance(stream, SocketStream)
        await until(lambda: stream.answered)
        with pytest.raises(httpcore.ConnectError, match="in front of the handshake"):
            await stream.start_tls(trusting, "127.0.0.1", timeout=PATIENCE)
        await left.wait()  # so the connection was closed


@pytest.fixture
def tunnelling(gateway, connect, serving, trusting):
    """A client whose proxy is the gateway, which speaks TLS inside the tunnel."""
    url, gateway.tls = gateway.url, serving
    endpoints = Endpoints.at("https://gateway.example")
    return connect(proxy=url, endpoints=endpoints, ssl_context=trusting)


async def test_a_tunnel_carries_the_request(gateway, tunnelling, call) -> None:
    """TLS is with the gateway, and the context given is for that."""
    assert call.result in repr(await call.make(tunnelling))
    tunnel, request = gateway.received
    assert tunnel.target == "gateway.example:443"
    assert request.target.startswith("/")


async def test_the_login_of_a_proxy(gateway, connect, serving, trusting) -> None:
    """It is for the proxy alone."""
    url, gateway.tls = gateway.url.replace("//", "//user:pass@"), serving
    endpoints = Endpoints.at("https://gateway.example")
    await connect(proxy=url, endpoints=endpoints, ssl_context=trusting).credits()
    tunnel, request = gateway.received
    assert tunnel.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert "proxy-authorization" not in request.headers


async def test_a_fault_inside_a_tunnel(gateway, tunnelling, calls) -> None:
    """The request left, although it was not the first on the connection."""
    gateway.bodies["XMLInput.aspx"] = b""
    with pytest.raises(OutcomeUnknownError):
        await calls["send"].make(tunnelling)
    assert len(gateway.received) == 2
