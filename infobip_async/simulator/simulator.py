"""The simulator: the gateway on a socket of this machine, and its pushes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import cycle
from typing import Self

from infobip_async.errors import LocalProtocolError
from infobip_async.models import CallbackUrls, DeliveryReport, DeliveryStatus
from infobip_async.protocol import inbound_sms
from infobip_async.protocol.exchange import HttpRequest, PushKind
from infobip_async.simulator import policies
from infobip_async.simulator.app import GatewayServer
from infobip_async.simulator.clock import Clock, ManualClock, SystemClock
from infobip_async.simulator.faults import Faults
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.inbound import Content, contents_of, message_of
from infobip_async.simulator.pusher import Pusher
from infobip_async.simulator.records import (
    Counts,
    Exchange,
    HlrAnswer,
    Lookup,
    Operation,
    PushAttempt,
    Report,
    SentMessage,
)


class Simulator:
    """The whole interface on a loopback socket, and its pushes to the addresses given.

    ::

        async with Simulator(username="user", password="password", callbacks=urls) as simulator:
            endpoints = Endpoints.at(simulator.base_url)

    Attributes:
        gateway: the gateway behind the socket: prices, networks not covered, further accounts.
        faults: what is to go wrong.
        clock: the time that delays and dates are taken from.

    Args:
        username: of the account.
        password: of the account.
        credits: the balance of the account.
        callbacks: where to push. Where it is None, delivery reports wait for a pull (§3.2), and
            HLR reports are lost. It can be set later, as an attribute.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        clock: a `ManualClock` for tests of what takes time.
        delivery: where a message to a number ends (§3.1).
        hlr: what the HLR says of a number (§5).
        report_delay: seconds from a message or a lookup to its report.
        keep: how many of the latest messages, lookups, pushes and ids struck by a fault are kept
            for inspection; None for all.
        concurrency: pushes at once.
        push_timeout: seconds that a receiver may take to answer.
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
        concurrency: int = 4,
        push_timeout: float = 30.0,
        seed: int = 0,
    ) -> None:
        self.gateway = Gateway(
            delivery=delivery, hlr=hlr, callbacks=callbacks, report_delay=report_delay, keep=keep
        )
        self.faults = Faults(seed, keep)
        self.clock = clock or SystemClock()
        self._account = self.gateway.open_account(username, password, Decimal(credits))
        self._pusher = Pusher(self.clock, self._address, concurrency, push_timeout, keep)
        self._references = cycle(range(256))
        self._http = GatewayServer(
            self.gateway, self.faults, self.clock, self._start_reports, host, port
        )

    def __repr__(self) -> str:
        return f"<Simulator on {self._http.host}:{self._http.port}>"

    # --- life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._http.start()
        if isinstance(self.clock, ManualClock):
            self.clock.watch(self._pusher.quiet)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.vanish()
        await self._pusher.aclose()
        await self._http.stop()

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Be unreachable for a while: all connections are closed, and new ones refused."""
        await self._http.vanish()
        try:
            yield
        finally:
            await self._http.listen()

    async def settled(self) -> None:
        """Wait until every report was pushed, those included that are due later.

        It does not wait for repetitions: a post of delivery reports that failed is repeated
        after a minute and more (§3.1).
        """
        await self._pusher.settled()

    # --- its settings, and what it did ------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The address that it listens on, such as ``http://127.0.0.1:8080``."""
        host = f"[{self._http.host}]" if ":" in self._http.host else self._http.host
        return f"http://{host}:{self._http.port}"

    @property
    def callbacks(self) -> CallbackUrls | None:
        """The URLs that it pushes to."""
        return self.gateway.callbacks

    @callbacks.setter
    def callbacks(self, urls: CallbackUrls | None) -> None:
        self.gateway.callbacks = urls

    @property
    def credits(self) -> Decimal:
        """The balance of the account."""
        return self._account.credits

    @credits.setter  # noqa: A003 - the document's word
    def credits(self, balance: Decimal | int) -> None:
        self._account.credits = Decimal(balance)

    @property
    def messages(self) -> tuple[SentMessage, ...]:
        """The messages that were accepted for sending, the oldest first."""
        return tuple(self.gateway.messages)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The numbers of HLR queries, refused ones included, the oldest first."""
        return tuple(self.gateway.lookups)

    @property
    def pushes(self) -> tuple[PushAttempt, ...]:
        """The pushes, one entry per attempt, in the order in which they ended."""
        return tuple(self._pusher.attempts)

    @property
    def counts(self) -> Counts:
        """What it did so far, in numbers, independent of `keep`."""
        return Counts(
            requests=dict(self._http.requests),
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
            text: what was typed. It is sent in GSM-7, or with data coding 8 where GSM-7 cannot
                carry it, and in several parts where it is long.
            data: octets in place of a text, with their header where `esm_class` has 64.
            data_coding: of `data`.
            esm_class: of `data`.
            receiver: the number that was texted, where it is known.

        Returns:
            For each part the HTTP status of the answer, or None where there was none.

        Raises:
            LocalProtocolError: both or neither of text and data are given, or no URL was entered.
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

    def _start_reports(
        self, exchange: Exchange, may_reply: asyncio.Event, replied: asyncio.Event
    ) -> None:
        self._pusher.start(self._report(exchange, may_reply, replied))

    async def _report(
        self, exchange: Exchange, may_reply: asyncio.Event, replied: asyncio.Event
    ) -> None:
        """Push early reports before the reply, and the others once the reply is out or lost.

        This goes on even if the client goes away: the request was carried out.
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
        """Keep delivery reports for a pull if no URL was entered; whether they were kept."""
        if self.callbacks or exchange.operation is Operation.SUBMIT_HLR:
            return False
        deliveries = (report for report in reports if isinstance(report, DeliveryReport))
        self.gateway.hold(exchange.account, deliveries)
        return True


def _kind(exchange: Exchange) -> PushKind:
    of_lookups = exchange.operation is Operation.SUBMIT_HLR
    return PushKind.HLR_REPORTS if of_lookups else PushKind.DELIVERY_REPORTS
