"""Runs against a gateway that is not one, or not for long: on a skipped clock, and over sockets.

A kind of run (`KINDS`) is made and taken the same way, whatever it is: `tests/cli` and
`tests/jetstream` can add theirs, which get to the gateway by `Place.base_url`.
"""

import asyncio
import csv
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import attrs
import httpx
import pytest
from click.testing import CliRunner, Result

from infobip_async import (
    Endpoints,
    HlrLookups,
    HlrOutcome,
    HlrReport,
    InfobipClient,
    Outgoing,
    Router,
    RunStoppedError,
    SendOutcome,
    TextMessage,
)
from infobip_async.cli import exit_codes
from infobip_async.cli.group import infobip_async
from infobip_async.concurrency.sqlite_thread import SqliteThread, _Work
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.protocol.hlr_dlr import encode_push
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.records import Operation
from jumping import JumpingLoop
from ports import reserved_port
from skipping import SkippingLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """Sockets need time that passes."""
    if item.path.stem == "test_cannot_succeed_over_sockets":
        return {"jumping": JumpingLoop}
    return {"skipping": SkippingLoop}


# --- the gateway, and what is in its place ---

PAGE = HttpReply(HTTPStatus.OK, b"<html><h1>Welcome</h1></html>", "text/html")

REPLIES = {
    "404": HttpReply(HTTPStatus.NOT_FOUND, b"<h1>Not Found</h1>", "text/html"),
    "301": HttpReply(HTTPStatus.MOVED_PERMANENTLY, b"<h1>Moved</h1>", "text/html"),
    "401": HttpReply(HTTPStatus.UNAUTHORIZED, b"<h1>Unauthorized</h1>", "text/html"),
    "502": HttpReply(HTTPStatus.BAD_GATEWAY, b"<h1>Bad Gateway</h1>", "text/html"),
    "HTML 200": PAGE,
}
"""What answers in place of the gateway, by name."""


class RefusedError(Exception):
    """Nobody listens."""


class CutError(Exception):
    """The gateway carries the request out, and its reply is lost."""


@attrs.define
class Counting:
    """A gateway that counts, and something else in its place, as long as there is trouble.

    Attributes:
        router: gets its HLR reports.
        trouble: the name of a reply, "refused" or "cut", or None; asked at each request.
        requests: sends and queries that arrived, at whoever was there.
        tries: sends and queries that were tried, and when.
        gateway: the gateway itself.
    """

    router: Router = attrs.field(factory=Router)
    trouble: Callable[[], str | None] = lambda: None
    requests: int = 0
    tries: list[float] = attrs.field(factory=list)
    gateway: Gateway = attrs.field(factory=Gateway)
    _pushes: set[asyncio.Task[None]] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.gateway.open_account("user", "password", Decimal(1_000_000))

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request.

        Raises:
            RefusedError: nobody does.
            CutError: the gateway does, and nobody gets to know.
        """
        self.tries.append(asyncio.get_running_loop().time())
        trouble = self.trouble()
        if trouble == "refused":
            raise RefusedError
        self.requests += 1
        if trouble in REPLIES:
            return REPLIES[trouble]
        exchange = self.gateway.handle(request, 0.0)
        if exchange.operation is Operation.SUBMIT_HLR and exchange.reports:
            push = asyncio.ensure_future(self.router.dispatch(exchange.reports))
            self._pushes.add(push)
            push.add_done_callback(self._pushes.discard)
        if trouble == "cut":
            raise CutError
        return exchange.reply

    @property
    def copies(self) -> Counter[str]:
        """How often each number was sent to, or looked up."""
        gateway = self.gateway
        return Counter(one.msisdn for one in (*gateway.messages, *gateway.lookups))


@attrs.define
class Wire(httpx.AsyncBaseTransport):
    """Carries requests to a gateway in this very process, and traces as httpcore does."""

    counting: Counting

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        asked = HttpRequest(
            request.method, str(request.url), request.content, request.headers["Content-Type"]
        )
        try:
            reply = self.counting.answer(asked)
        except RefusedError:
            raise httpx.ConnectError("refused") from None
        except CutError:
            await trace("http11.send_request_headers.started", {"request": request})
            raise httpx.ReadError("cut") from None
        await trace("http11.send_request_headers.started", {"request": request})
        await asyncio.sleep(0.01)
        return httpx.Response(reply.status, content=reply.body)


@attrs.frozen(kw_only=True)
class Place:
    """Where a run sends its requests.

    Attributes:
        base_url: the base of the addresses.
        counting: what is there, or is not.
        http: carries the requests; None for sockets.
        password: that the run believes in.
    """

    base_url: str
    counting: Counting
    http: httpx.AsyncClient | None = None
    password: str = "password"

    def client(self) -> InfobipClient:
        """A client of what is there."""
        endpoints = Endpoints.at(self.base_url)
        return InfobipClient("user", self.password, endpoints=endpoints, http=self.http)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway without sockets."""
    counting = Counting()
    async with httpx.AsyncClient(transport=Wire(counting)) as http:
        yield Place(base_url="https://gateway.invalid", counting=counting, http=http)
    await asyncio.gather(*counting._pushes)


# --- the kinds of runs ---


@attrs.frozen
class Ending:
    """How a run ended.

    Attributes:
        outcomes: of the items that were read: number to name of the outcome.
        stopped: why it could not go on.
        seconds: that it took.
        resumed: numbers whose outcome an earlier run of the job knew.
    """

    outcomes: dict[str, str]
    stopped: RunStoppedError | None
    seconds: float
    resumed: frozenset[str] = frozenset()

    @property
    def counts(self) -> Counter[str]:
        """How many items have each outcome."""
        return Counter(self.outcomes.values())


@attrs.frozen
class Size:
    """How large a run is.

    Attributes:
        count: items of a run.
        batch: items of its requests, at most.
        window: items that it reads ahead, at most.
    """

    count: int
    batch: int
    window: int


class Kind(Protocol):
    """A kind of runs.

    Attributes:
        done: the outcome of an item that went well.
        logins: requests that find out that the login is wrong.
        reopens: whether a later run does what an earlier one has reported as unknown.
        waits: whether its clock is that of the test's event loop.
    """

    done: str
    logins: int
    reopens: bool
    waits: bool

    async def run(
        self, place: Place, numbers: Iterable[str], size: Size, job: Path | None, on_unknown: str
    ) -> Ending:
        """Make a run, and take all that it gives."""


async def _taken(run: AsyncIterator[Any], number: Callable[[Any], str]) -> Ending:
    loop = asyncio.get_running_loop()
    start, stopped = loop.time(), None
    outcomes: dict[str, str] = {}
    resumed = set()
    try:
        async for result in run:
            assert number(result) not in outcomes
            outcomes[number(result)] = result.outcome.name
            if result.resumed:
                resumed.add(number(result))
    except RunStoppedError as fault:
        stopped = fault
    return Ending(outcomes, stopped, loop.time() - start, frozenset(resumed))


class SendMany:
    """`InfobipClient.send_many`."""

    done, logins, reopens, waits = "SENT", 1, True, True

    async def run(
        self, place: Place, numbers: Iterable[str], size: Size, job: Path | None, on_unknown: str
    ) -> Ending:
        """Send one message to all numbers."""
        hello = TextMessage("Hello", "Friend")
        items = (Outgoing(hello, number) for number in numbers)
        async with place.client() as client:
            run = client.send_many(
                items,
                batch_size=size.batch,
                window=size.window,
                job=job,
                on_unknown=on_unknown,
            )
            return await _taken(run, lambda result: result.item.recipient)


class Stream:
    """`HlrLookups.stream`."""

    done, logins, reopens, waits = "REPORTED", 2, True, True

    async def run(
        self, place: Place, numbers: Iterable[str], size: Size, job: Path | None, on_unknown: str
    ) -> Ending:
        """Look all numbers up."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(place.client())
            lookups = HlrLookups(
                client,
                place.counting.router,
                batch_size=size.batch,
                window=size.window,
                stop_timeout=0,
            )
            await stack.enter_async_context(lookups)
            run = lookups.stream(numbers, timeout=1e6, job=job, on_unknown=on_unknown)
            return await _taken(run, lambda result: result.destination)


KINDS: dict[str, Kind] = {"send_many": SendMany(), "stream": Stream()}


@attrs.frozen
class Command:
    """A command of the command line, in a thread of its own; its gateway is on a port.

    Attributes:
        name: of the command.
        done: as of `Kind`.
        logins: as of `Kind`.
        outcomes: of its items.
        column: of its output, with the numbers.
        reopens: as of `Kind`.
        waits: as of `Kind`.
    """

    name: str
    done: str
    logins: int
    outcomes: type[SendOutcome] | type[HlrOutcome]
    column: str
    reopens: bool = True
    waits: bool = False

    async def run(
        self, place: Place, numbers: Iterable[str], size: Size, job: Path, on_unknown: str
    ) -> Ending:
        """Run the command on a list of the numbers."""
        output, source = job.with_suffix(".out"), job.with_suffix(".csv")
        source.write_text("number\n" + "".join(f"{number}\n" for number in numbers))
        common = ["--job", job, "-o", output, "--batch-size", size.batch]
        common += ["--on-unknown", on_unknown, "--unreachable-timeout", "0.01"]
        with reserved_port() as port:
            args = {
                "send": ["-s", "Friend", "-t", "Hello", "--csv", source],
                "hlr": [source, "--column", 1, "--receive", f"127.0.0.1:{port}"],
            }[self.name]
            router = place.counting.router
            push = partial(_push, f"http://127.0.0.1:{port}/secret/hlr")
            router.on(HlrReport)(push)
            result = await asyncio.to_thread(_invoke, place, [self.name, *args, *common])
            router.off(HlrReport, push)
        assert not isinstance(result.exception, Exception), result.exception
        with output.open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        outcomes = {row[self.column]: self.outcomes(row["outcome"]).name for row in rows}
        assert len(outcomes) == len(rows)
        stopped = RunStoppedError(result.stderr) if "RunStoppedError" in result.stderr else None
        return Ending(outcomes, stopped, 0)


def _invoke(place: Place, args: list[object]) -> Result:
    env = {
        "INFOBIP_USERNAME": "user",
        "INFOBIP_PASSWORD": place.password,
        "INFOBIP_BASE_URL": place.base_url,
        "INFOBIP_WEBHOOK_SECRET": "secret",
        "COLUMNS": "500",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exit_codes, "_SIGNALS", ())  # they reach the main thread only
        return CliRunner().invoke(infobip_async, list(map(str, args)), env=env)


async def _push(url: str, report: HlrReport) -> None:
    """Push a report to the receiver of a command."""
    async with httpx.AsyncClient(verify=False) as http:
        reply = await http.post(url, content=encode_push([report]))
        assert reply.status_code == HTTPStatus.OK


COMMANDS: dict[str, Kind] = {
    "send --csv": Command("send", "SENT", 1, SendOutcome, "recipient"),
    "hlr": Command("hlr", "REPORTED", 2, HlrOutcome, "destination"),
}
"""Kinds that need sockets."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of runs."""
    return KINDS[request.param]


SIZES = [Size(250, 10, 200), pytest.param(Size(2_000, 50, 1_000), marks=pytest.mark.proof)]


@pytest.fixture(params=SIZES, ids=lambda size: f"{size.count} items")
def size(request: pytest.FixtureRequest) -> Size:
    """Small runs, and large ones as proofs."""
    return request.param


def numbers(count: int) -> list[str]:
    """So many good numbers."""
    return [str(385980000000 + number) for number in range(count)]


@pytest.fixture
def many() -> Callable[[int], list[str]]:
    """Make so many good numbers."""
    return numbers


@attrs.define
class Endless:
    """A source that never ends, and knows how far it was read."""

    read: int = 0

    def __iter__(self) -> Iterator[str]:
        for self.read in itertools.count(1):
            yield str(385980000000 + self.read)


@pytest.fixture
def endless() -> Endless:
    """A source that never ends."""
    return Endless()


# --- jobs ---


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a job is; its file is written in no thread, since skipped time waits for none."""

    async def do(self: SqliteThread, run: Callable[[Any], Any], *, writes: bool = True) -> Any:
        work = _Work(run, asyncio.get_running_loop().create_future(), writes, anywhere=False)
        self._commit([work])
        return await work.outcome

    async def aclose(self: SqliteThread) -> None:
        self._file.close()
        self._file.forget_place()

    monkeypatch.setattr(SqliteThread, "start", lambda _: None)
    monkeypatch.setattr(SqliteThread, "do", do)
    monkeypatch.setattr(SqliteThread, "aclose", aclose)
    return tmp_path / "job"
