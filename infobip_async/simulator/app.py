"""The gateway on a socket of this machine, and its pushes."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import cycle
from types import TracebackType
from typing import Final, Self

import attrs
from aiohttp import web
from aiohttp.http import HttpProcessingError

from infobip_async.errors import LocalProtocolError
from infobip_async.models import CallbackUrls, DeliveryReport, DeliveryStatus
from infobip_async.protocol import inbound_sms
from infobip_async.protocol.exchange import HttpReply, HttpRequest, PushKind
from infobip_async.simulator import policies
from infobip_async.simulator.clock import Clock, ManualClock, SystemClock
from infobip_async.simulator.faults import REPLY_FAULTS, Fault, Faults, Rule
from infobip_async.simulator.gateway import Gateway, operation_of
from infobip_async.simulator.inbound import Content, contents_of, message_of
from infobip_async.simulator.pusher import Pusher
from infobip_async.simulator.records import (
    Exchange,
    HlrAnswer,
    Lookup,
    Operation,
    PushAttempt,
    Report,
    SentMessage,
)
from infobip_async.simulator.replies import answer, cut_short, hang_up, page_for, whole

_STOP_TIMEOUT: Final = 0.1
_LONGEST_LINE: Final = 1 << 20
"""Octets of a URL: an HLR query by GET has all its numbers there (§4)."""


class _WithoutUrls(logging.Filter):
    """Keeps URLs that cannot be read, and the passwords in them, out of the server's records."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.msg, record.args = "a request that is no HTTP", ()
            record.exc_info = record.exc_text = None
        return True


_logger = logging.getLogger("infobip_async.simulator")
_logger.addFilter(_WithoutUrls())


@attrs.frozen
class Counts:
    """What a simulator did so far, in numbers.

    Attributes:
        requests: requests that were answered, or carried out and not answered, by operation.
        messages: messages accepted for sending.
        lookups: numbers accepted for lookup.
        answers: pushes by the HTTP status of their answer; None stands for no answer.
        given_up: posts that no receiver took, with all repetitions that they had.
        unaddressed: reports that were lost because no URL was entered for them.
    """

    requests: Mapping[Operation, int]
    messages: int
    lookups: int
    answers: Mapping[int | None, int]
    given_up: int
    unaddressed: int

    @property
    def pushes(self) -> int:
        """Pushes altogether, repetitions included."""
        return sum(self.answers.values())


class Simulator:
    """The whole interface on a loopback socket, and its pushes to the addresses given.

    ::

        async with Simulator(username="user", password="password", callbacks=urls) as simulator:
            endpoints = Endpoints.at(simulator.base_url)

    Attributes:
        gateway: the gateway behind the socket: prices, networks not covered, further accounts.
        faults: what is to go wrong.
        clock: its time.

    Args:
        username: of the account.
        password: of the account.
        credits: what the account can spend.
        callbacks: where to push; None: delivery reports wait for a pull (§3.2), HLR reports are
            lost. Can be set later, as an attribute.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        clock: a `ManualClock` for tests of what takes time.
        delivery: where a message to a number ends (§3.1).
        hlr: what the HLR says of a number (§5).
        report_delay: seconds from a message or a lookup to its report.
        keep: how many messages, lookups, pushes and ids that a fault struck to keep for
            inspection, the latest of each; None for all.
        pushes_in_flight: how many pushes may be under way at once.
        push_timeout: seconds that a receiver may take.
        seed: of the random numbers behind the rates of faults.
    """

    def __init__(
        self,
        *,
        username: str = "user",
        password: str = "password",  # noqa: S107 - of an account that only this process knows
        credits: Decimal | int = 10_000,  # noqa: A002 - the document's word
        callbacks: CallbackUrls | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        delivery: Callable[[str], DeliveryStatus | str] = policies.delivered,
        hlr: Callable[[str], HlrAnswer] = policies.at_home,
        report_delay: float = 0.0,
        keep: int | None = None,
        pushes_in_flight: int = 4,
        push_timeout: float = 30.0,
        seed: int = 0,
    ) -> None:
        self.gateway = Gateway(
            delivery=delivery, hlr=hlr, callbacks=callbacks, report_delay=report_delay, keep=keep
        )
        self.faults = Faults(seed, keep)
        self.clock = clock or SystemClock()
        self._account = self.gateway.open_account(username, password, Decimal(credits))
        self._host, self._port = host, port
        self._pusher = Pusher(self.clock, self._address, pushes_in_flight, push_timeout, keep)
        self._requests: Counter[Operation] = Counter()
        self._references = cycle(range(256))
        self._server: web.Server  # needs a running loop, so it is made on entry
        self._runner: web.ServerRunner

    def __repr__(self) -> str:
        return f"<Simulator on {self._host}:{self._port}>"

    # --- life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._server = web.Server(
            self._serve,
            access_log=None,
            logger=_logger,
            handler_cancellation=True,
            max_line_size=_LONGEST_LINE,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_STOP_TIMEOUT)
        await self._runner.setup()
        await self._listen()
        if isinstance(self.clock, ManualClock):
            self.clock.watch(self._pusher.quiet)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._vanish()
        await self._pusher.aclose()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._host, self._port = self._runner.addresses[0][:2]

    async def _vanish(self) -> None:
        """Listen no more, and close every connection, whatever is under way on it."""
        for site in self._runner.sites:
            await site.stop()
        for connection in self._server.connections:
            connection.force_close()

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Be gone for a while: all connections are closed, and new ones refused."""
        await self._vanish()
        try:
            yield
        finally:
            await self._listen()

    async def settled(self) -> None:
        """Wait until every report that is due, or will be, was pushed.

        A post of delivery reports that was not taken waits a minute and more for its repetition
        (§3.1), and is not waited for.
        """
        await self._pusher.settled()

    # --- what it is, and what it did --------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:8080``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def callbacks(self) -> CallbackUrls | None:
        """Where it pushes to."""
        return self.gateway.callbacks

    @callbacks.setter
    def callbacks(self, urls: CallbackUrls | None) -> None:
        self.gateway.callbacks = urls

    @property
    def credits(self) -> Decimal:
        """What the account has left."""
        return self._account.credits

    @credits.setter  # noqa: A003 - the document's word
    def credits(self, balance: Decimal | int) -> None:
        self._account.credits = Decimal(balance)

    @property
    def messages(self) -> tuple[SentMessage, ...]:
        """What was accepted for sending, the oldest first."""
        return tuple(self.gateway.messages)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The numbers of HLR queries, refused ones included, the oldest first."""
        return tuple(self.gateway.lookups)

    @property
    def pushes(self) -> tuple[PushAttempt, ...]:
        """What was pushed, one entry per attempt, in the order in which they ended."""
        return tuple(self._pusher.attempts)

    @property
    def counts(self) -> Counts:
        """What it did so far, in numbers, whatever was kept."""
        return Counts(
            requests=dict(self._requests),
            messages=self.gateway.message_count,
            lookups=self.gateway.lookup_count,
            answers=dict(self._pusher.answers),
            given_up=self._pusher.given_up,
            unaddressed=self._pusher.unaddressed,
        )

    # --- inbound ----------------------------------------------------------------------------

    async def inbound(
        self,
        sender: str,
        text: str | None = None,
        *,
        data: bytes | None = None,
        data_coding: int = 0,
        esm_class: int = 0,
        receiver: str | None = None,
    ) -> tuple[int | None, ...]:
        """Forward a message from a handset through the URL template, once (§6).

        Args:
            sender: the handset's number.
            text: what was typed: sent in GSM-7, or with data coding 8 where that does not do, in
                several parts where it is long.
            data: in place of a text, the octets, with their header where `esm_class` has 64.
            data_coding: what `data` is.
            esm_class: the ESM class of `data`.
            receiver: the number that was texted, if it is known.

        Returns:
            For each part the HTTP status of the answer, or None where there was none.

        Raises:
            LocalProtocolError: not one of text and data is given, or no URL was entered.
        """
        if (text is None) == (data is None):
            raise LocalProtocolError("give either a text or data", field="text", section="6")
        if self.callbacks is None:
            raise LocalProtocolError("no URL was entered", field="callbacks", section="6")
        if data is not None:
            contents = [Content(data, data_coding, esm_class)]
        else:
            contents = contents_of(text or "", next(self._references))
        template, now = self.callbacks.inbound_sms, self.gateway.date(self.clock.now())
        messages = (message_of(content, sender, receiver, now) for content in contents)
        urls = [inbound_sms.encode_push(template, message) for message in messages]
        return tuple(
            [
                await self._pusher.request(PushKind.INBOUND_SMS, HttpRequest("GET", url))
                for url in urls
            ]
        )

    # --- reports ----------------------------------------------------------------------------

    def _address(self, kind: PushKind) -> str | None:
        urls = self.callbacks
        if urls is None:
            return None
        return urls.hlr_reports if kind is PushKind.HLR_REPORTS else urls.delivery_reports

    async def _report(
        self, exchange: Exchange, may_reply: asyncio.Event, replied: asyncio.Event
    ) -> None:
        """Report what is to come before the reply, and the rest when that is out or never will be.

        This goes on though the client goes away: the request was carried out.
        """
        timetable = self.faults.timetable(exchange)
        kind = _kind(exchange)
        if timetable.early and not self._held(exchange, timetable.early):
            await self._pusher.push_now(kind, timetable.early)
        may_reply.set()
        await replied.wait()
        if self.gateway.report_delay:
            await self._pusher.pause(self.gateway.report_delay)
        if not self._held(exchange, timetable.later):
            self._pusher.publish(kind, timetable.later)

    def _held(self, exchange: Exchange, reports: Iterable[Report]) -> bool:
        """Keep delivery reports for a pull, where no URL for them was entered."""
        if self.callbacks or exchange.operation is Operation.SUBMIT_HLR:
            return False
        deliveries = (report for report in reports if isinstance(report, DeliveryReport))
        self.gateway.hold(exchange.account, deliveries)
        return True

    # --- requests ---------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        operation = operation_of(request.raw_path)
        rule = self.faults.draw(REPLY_FAULTS, operation) if operation else None
        if rule and rule.fault is Fault.REFUSE:
            return hang_up(request)
        exchange = self.gateway.handle(await whole(request), self.clock.now())
        if exchange.operation:
            self._requests[exchange.operation] += 1
        may_reply, replied = asyncio.Event(), asyncio.Event()
        if exchange.reports:
            self._pusher.start(self._report(exchange, may_reply, replied))
        else:
            may_reply.set()
        try:
            await may_reply.wait()
            if rule is None:
                return await answer(request, exchange.reply)
            self.faults.record(rule.fault, exchange.ids)
            replied.set()
            return await self._misbehave(request, exchange.reply, rule)
        finally:
            replied.set()

    async def _misbehave(
        self, request: web.BaseRequest, reply: HttpReply, rule: Rule
    ) -> web.StreamResponse:
        match rule.fault:
            case Fault.SLOW:
                await self.clock.sleep(rule.seconds)
                return await answer(request, reply)
            case Fault.HANG:
                never: asyncio.Future[web.StreamResponse] = asyncio.Future()
                return await never  # cancelled when the connection is closed
            case Fault.CUT_BEFORE_REPLY:
                return hang_up(request)
            case Fault.CUT_INSIDE_REPLY:
                return await cut_short(request, reply)
            case fault:
                return await answer(request, page_for(fault))


def _kind(exchange: Exchange) -> PushKind:
    of_lookups = exchange.operation is Operation.SUBMIT_HLR
    return PushKind.HLR_REPORTS if of_lookups else PushKind.DELIVERY_REPORTS
