"""The password, looked for in everything that is logged, shown or raised.

Its letters and digits stand as they are in every spelling: `MARK` finds it in all of them.
"""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from infobip_async import (
    Endpoints,
    InfobipClient,
    InfobipError,
    LocalProtocolError,
    Recipient,
    TextMessage,
)
from infobip_async.protocol.exchange import HttpRequest
from infobip_async.redaction import exchange_of_ours, protect_logs

MARK = "S3cr3tM4rk"
TEXT = TextMessage("Hello", "Friend")
NUMBER = "385911234567"


class Ear(logging.Handler):
    """Keeps all that a handler could write of a record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, and what it was made of."""
        self.heard.append(f"{self.format(record)}\n{vars(record)!r}")


@pytest.fixture
async def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Hears every logger at DEBUG, and asyncio tell of every step."""
    ear = Ear()
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    root.addHandler(ear)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    yield ear
    loop.set_debug(False)
    root.removeHandler(ear)
    assert ear.heard
    assert [line for line in ear.heard if MARK in line] == []


def shown(fault: BaseException) -> str:
    """An exception as a reporter of errors shows it, with the locals of every frame."""
    lines = traceback.TracebackException.from_exception(fault, capture_locals=True).format()
    return "".join([*lines, repr(fault), str(fault), repr(fault.args)])


@pytest.fixture
def marked(request, connect, gateway) -> InfobipClient:
    """A client with a marked password, and where it uses a proxy a marked login to that."""
    if request.param != "proxy":
        return connect(request.param)
    return connect(
        proxy=f"http://someone:{MARK}@127.0.0.1:{gateway.port}",
        endpoints=Endpoints.at("http://gateway.example"),
        allow_insecure=True,
    )


@pytest.mark.rounds(1)
async def test_faults_tell_nothing(  # noqa: PLR0917 - a matrix
    gateway, marked, call, fault, reused, ear
) -> None:
    """Every method, with every fault, over a fresh and a reused connection."""
    if reused:
        await call.make(marked)
    gateway.fault = fault
    with pytest.raises(InfobipError) as caught:
        await call.make(marked)
    assert MARK not in shown(caught.value)
    assert any(MARK in request.raw.decode() for request in gateway.received) or gateway.partial


@pytest.mark.rounds(1)
async def test_good_replies_tell_nothing(gateway, marked, calls, oddity, ear) -> None:
    """Nor does the client, when it is shown."""
    gateway.fault = oddity
    for call in calls.values():
        assert MARK not in repr(await call.make(marked))
    for thing in (marked, marked._outcomes, marked._transport, marked._credentials):
        assert MARK not in repr(thing)


async def test_a_gateway_that_cannot_be_reached_tells_nothing(gateway, marked, calls, ear) -> None:
    """There is little to tell."""
    await gateway.refuse()
    for call in calls.values():
        with pytest.raises(InfobipError) as caught:
            await call.make(marked)
        assert MARK not in shown(caught.value)


async def test_cancelled_callers_and_closing_tell_nothing(gateway, marked, calls, ear) -> None:
    """Nor do the tasks, when they are shown."""
    gateway.gate.clear()
    calling = [asyncio.create_task(call.make(marked)) for call in calls.values()]
    await gateway.until(lambda: gateway.busy == len(calls))
    assert MARK not in repr(asyncio.all_tasks())
    for task in calling[::2]:
        task.cancel()
    await asyncio.sleep(0)
    await marked.aclose()
    for fault in await asyncio.gather(*calling, return_exceptions=True):
        assert MARK not in shown(fault)


async def test_what_an_error_was_made_of_is_not_shown(connect) -> None:
    """Neither its cause, nor the frames that it came through."""

    def broken(*_: object) -> HttpRequest:
        password = MARK
        try:
            int(password)
        except ValueError as fault:
            raise LocalProtocolError("no number", field="password") from fault
        raise AssertionError

    outcomes = connect()._outcomes
    for make, encoders in (
        (partial(outcomes.read, "credits"), broken),
        (partial(outcomes.submit, "send", 1), [broken]),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            await make(encoders, broken)
        assert MARK not in shown(caught.value)


MISTAKES = {
    "recipient": lambda client: client.send(TEXT, "+385911234567"),
    "id": lambda client: client.send(TEXT, Recipient(NUMBER, "\x00")),
    "sender": lambda client: client.send(TextMessage("Hello", "much too long a sender"), NUMBER),
    "recipient of one": lambda client: client.send_one(TEXT, "+385911234567"),
    "sender to one": lambda client: client.send_one(TextMessage("Hello", ""), NUMBER),
    "ids": lambda client: client.pull_reports(["a,b"]),
    "long URL": lambda client: client.pull_reports(f"id-{one:020}" for one in range(4_000)),
    "destination": lambda client: client.submit_hlr(["1;2"]),
    "destinations": lambda client: client.submit_hlr([]),
    "character": lambda client: client.submit_hlr(["\ud800"], method="GET"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_mistakes_tell_nothing(marked, mistake, ear) -> None:
    """The password is at hand where they are found."""
    with pytest.raises(InfobipError) as caught:
        await mistake(marked)
    assert MARK not in shown(caught.value)
    logging.getLogger("a test").debug("needs something to hear")


@pytest.mark.parametrize("character", ["\x00", "\ud800"])
async def test_a_password_that_cannot_be_carried_is_not_told(
    gateway, calls, character, ear
) -> None:
    """The error names the character."""
    options = {"endpoints": Endpoints.at(gateway.url)}
    async with InfobipClient("user", MARK + character, **options) as client:
        for call in calls.values():
            try:
                await call.make(client)
            except InfobipError as fault:
                assert MARK not in shown(fault)  # noqa: PT017 - not every method minds


@pytest.mark.parametrize(
    "options",
    [
        {"endpoints": Endpoints.at("http://gateway.example")},
        {"concurrency": 0},
        {"ca_file": "/no/such/file"},
    ],
)
def test_a_client_that_cannot_be_made_tells_nothing(connect, monkeypatch, options) -> None:
    """By its class or from the environment."""
    monkeypatch.setenv("INFOBIP_USERNAME", "user")
    monkeypatch.setenv("INFOBIP_PASSWORD", MARK)
    for make in (connect, InfobipClient.from_env):
        with pytest.raises(InfobipError) as caught:
            make(**options)
        assert MARK not in shown(caught.value)


@pytest.mark.parametrize(
    "base",
    [
        f"https://someone:{MARK}@gateway.example",
        f"https://{MARK}@gateway.example/sms",
        f"https://gateway.example/?password={MARK}",
        f"https://gateway.example/#{MARK}",
        f"someone:{MARK}@gateway.example",
        f"https://gateway.example:{MARK}",
        f"https://someone:80/{MARK}@gateway.example",
    ],
)
def test_an_address_with_a_secret_is_refused_and_tells_nothing(monkeypatch, base) -> None:
    """By its class, as a base, or from the environment."""
    monkeypatch.setenv("INFOBIP_USERNAME", "user")
    monkeypatch.setenv("INFOBIP_PASSWORD", MARK)
    monkeypatch.setenv("INFOBIP_BASE_URL", base)
    for make in (Endpoints.at, Endpoints.later, lambda url: Endpoints(hlr_query=url)):
        with pytest.raises(LocalProtocolError) as caught:
            make(base)
        assert MARK not in f"{caught.value}{caught.value!r}{caught.value.__context__!r}"
    with pytest.raises(LocalProtocolError, match="INFOBIP_BASE_URL: ") as caught:
        InfobipClient.from_env()
    assert MARK not in f"{caught.value}{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize(
    "proxy",
    [
        f"someone:{MARK}@127.0.0.1:3128",
        f"socks5://someone:{MARK}@127.0.0.1:1080",
        f"http://someone:{MARK}@127.0.0.1:port",
        f"http://someone:{MARK}@127.0.0.1:99999",
        f"http://someone:{MARK}@127.0.0.1:3128\r",
        f"http://someone:{MARK}@[127.0.0.1",
        f"http://someone:{MARK}@",
        f"http://someone:80/{MARK}@127.0.0.1:3128",
        f"http://someone:{MARK}@-ä-.example:3128",
    ],
)
def test_a_proxy_that_cannot_be_used_tells_nothing(proxy) -> None:
    """Neither in words, nor in the frames of the library."""
    with pytest.raises(LocalProtocolError, match=r"^proxy: ") as caught:
        InfobipClient("user", "password", proxy=proxy)
    assert MARK not in f"{caught.value}{caught.value!r}{caught.value.__context__!r}"
    assert MARK not in repr([frame.frame.f_locals for frame in caught.traceback[1:]])


def test_a_username_that_is_missing_tells_nothing() -> None:
    """The password is there."""
    with pytest.raises(InfobipError) as caught:
        InfobipClient("", MARK)
    assert MARK not in shown(caught.value)


# --- what the records of others keep ---


async def test_what_is_kept_of_the_records(gateway, connect, calls, caplog) -> None:
    """Enough to see what happens."""
    with caplog.at_level(logging.DEBUG):
        await calls["credits"].make(connect("httpx"))
    url = f"HTTP Request: GET {gateway.url}/Addon/SMSService/command.aspx"
    assert caplog.messages.count(url) == 1
    assert "receive_response_headers.complete" in caplog.messages
    assert any("connect_tcp.started host='127.0.0.1'" in line for line in caplog.messages)


async def test_the_callers_own_requests_are_logged_as_ever(gateway, connect, caplog) -> None:
    """The client that was injected is not ours."""
    async with httpx.AsyncClient(verify=False) as http:
        client = connect(http=http)
        with caplog.at_level(logging.INFO):
            await client.credits()
            await http.get(f"{gateway.url}/command.aspx?cmd=CREDITS")
    assert f'GET {gateway.url}/command.aspx?cmd=CREDITS "HTTP/1.1 200 OK"' in caplog.text


@pytest.mark.parametrize(
    ("logger", "kept"),
    [
        ("httpx2", ["GET /path"]),
        ("httpcore2.http2", ["GET /path"]),
        ("httpcore.socks", ["GET /path"]),
        ("hpack.hpack", []),
        ("hpack.table", []),
        ("another", ["GET /path?password=x"]),
    ],
)
def test_other_libraries_of_http(logger, kept, caplog) -> None:
    """Those that can be behind an injected client."""
    protect_logs()
    protect_logs()
    token = exchange_of_ours.set(True)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(logger).debug("GET %s", "/path?password=x")
    exchange_of_ours.reset(token)
    assert caplog.messages == kept
