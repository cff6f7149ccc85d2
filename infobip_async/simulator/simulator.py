"""The simulator: the gateway on a socket of this machine, and its pushes."""

from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import cycle
from os import PathLike
from typing import Self

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DeliveryStatus
from infobip_async.protocol import inbound_sms
from infobip_async.protocol.exchange import CallbackUrls, HttpRequest, PushKind
from infobip_async.simulator import policies
from infobip_async.simulator.app import GatewayServer
from infobip_async.simulator.bell import Bell
from infobip_async.simulator.clock import Clock, ManualClock, SystemClock
from infobip_async.simulator.console.guard import Guard
from infobip_async.simulator.console.recorder import Inbound, Recorder
from infobip_async.simulator.console.routes import Desk
from infobip_async.simulator.console.server import Console
from infobip_async.simulator.faults import Faults
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.handset import HandsetMessage, Sought, not_found
from infobip_async.simulator.inbound import Content, contents_of, message_of
from infobip_async.simulator.pusher import Pusher
from infobip_async.simulator.records import (
    Arrival,
    Counts,
    HlrAnswer,
    Lookup,
    Phone,
    Post,
    PushAttempt,
    Pushed,
    SentMessage,
)
from infobip_async.simulator.reporting import Reporter
from infobip_async.simulator.request_log import Recording


class Simulator:
    """The whole interface on a loopback socket, and its pushes to the addresses given.

    ::

        async with Simulator(username="user", password="password", callbacks=urls) as simulator:
            endpoints = Endpoints.at(simulator.base_url)

    Attributes:
        gateway: the gateway behind the socket: prices, networks not covered, further accounts.
        faults: what is to go wrong.
        console_url: the address of the console, with its token; None where there is none.
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
        console: have a page, and an API, under ``/_simulator/``.
        console_hosts: the names by which other machines reach the console; with any, or with
            `console_token`, whoever asks needs the token in its address. Without, this machine
            alone reaches the console.
        console_token: the token; a new random one where it is needed and not given.
        record: a file to append each request to, as a line of JSON without its password.
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
        hlr: Callable[[str], HlrAnswer] = policies.in_network,
        report_delay: float = 0.0,
        keep: int | None = None,
        concurrency: int = 4,
        push_timeout: float = 30.0,
        seed: int = 0,
        console: bool = False,
        console_hosts: Sequence[str] = (),
        console_token: str | None = None,
        record: str | PathLike[str] | None = None,
    ) -> None:
        self.gateway: Gateway = Gateway(
            delivery=delivery, hlr=hlr, callbacks=callbacks, report_delay=report_delay, keep=keep
        )
        self.faults: Faults = Faults(seed, keep)
        self.clock: Clock = clock or SystemClock()
        self._account = self.gateway.open_account(username, password, Decimal(credits))
        self._pusher = Pusher(self.clock, self._address, concurrency, push_timeout, keep)
        self._reporter = Reporter(self.gateway, self.faults, self._pusher)
        self._references = cycle(range(256))
        self._http = GatewayServer(
            self.gateway, self.faults, self.clock, self._reporter.start, self._arrived, host, port
        )
        self._bell = Bell()
        self._recording = Recording(record) if record is not None else None
        self._console = self._open_console(console_hosts, console_token) if console else None

    def _open_console(self, hosts: Sequence[str], token: str | None) -> Console:
        desk = Desk(
            recorder=Recorder(),
            gateway=self.gateway,
            faults=self.faults,
            clock=self.clock,
            pusher=self._pusher,
            bell=self._bell,
            inbound=lambda sender, text, data, receiver: self.inbound(
                sender, text, data=data, receiver=receiver
            ),
            report=lambda message, status, delay: self.report(message, status, delay=delay),
            reset=self.reset,
        )
        console = Console(desk, Guard.of(hosts, token))
        self._pusher.pushed = self._was_pushed
        self._http.console = console.serve
        return console

    def __repr__(self) -> str:
        return f"<Simulator on {self._http.host}:{self._http.port}>"

    # --- life -------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._http.start()
        if self._recording:
            await self._open_recording(self._recording)
        if isinstance(self.clock, ManualClock):
            self.clock.watch(self._pusher.quiet)
        return self

    async def _open_recording(self, recording: Recording) -> None:
        try:
            recording.open()
        except OSError:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._http.vanish()
        await self._pusher.aclose()
        await self._http.stop()
        if self._recording:
            self._recording.close()

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
    def console_url(self) -> str | None:
        """The address of the console, with its token; None where there is none."""
        return None if self._console is None else self._console.url(self.base_url)

    @property
    def phones(self) -> MutableMapping[str, Phone]:
        """What was decided by hand, by number: ``simulator.phones["38598514674"] = Phone(...)``."""
        return self.gateway.phones

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

    def reset(self) -> None:
        """Forget what happened, remove faults and decisions, and drop reports that wait for a pull.

        Balances, settings and pushes that are under way stay.
        """
        self.gateway.reset()
        self.faults.clear()
        self._pusher.forget()
        self._http.requests.clear()
        if self._console:
            self._console.desk.recorder.reset()
        self._bell.ring()

    def report(
        self, message: SentMessage, status: DeliveryStatus | str, *, delay: float = 0.0
    ) -> None:
        """Report on a message: again, or otherwise than it would have been reported on (§3.1).

        Args:
            message: one of `messages`.
            status: of the report: one of the document's, or any other text.
            delay: seconds until it is pushed. An earlier report that still waits is dropped.

        Raises:
            LocalProtocolError: the message was sent without an id, so that no report can name it.
        """
        self._reporter.report(message, status, delay)
        if self._console:
            name = status.value if isinstance(status, DeliveryStatus) else status
            self._console.desk.recorder.reported(message, name)
            self._bell.ring()

    # --- in a test's words ------------------------------------------------------------------

    def assert_sent(
        self,
        *,
        to: str | None = None,
        text: str | None = None,
        contains: str | None = None,
        sender: str | None = None,
    ) -> HandsetMessage:
        """Give the first message that is as described, with its parts joined.

        Args:
            to: its recipient; None for any, as for the others.
            text: its whole text.
            contains: a text inside its text.
            sender: its sender.

        Raises:
            AssertionError: none was sent; the text shows which ones were.
        """
        sought = Sought(to=to, text=text, contains=contains, sender=sender)
        found = sought.find(self.gateway.messages)
        if found is None:
            raise AssertionError(not_found(sought, self.messages))
        return found

    async def wait_for(
        self,
        *,
        to: str | None = None,
        text: str | None = None,
        contains: str | None = None,
        sender: str | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 - what was sent instead is shown
    ) -> HandsetMessage:
        """Wait for a message, which may have been sent before; otherwise as `assert_sent`.

        Args:
            to: its recipient; None for any, as for the others.
            text: its whole text.
            contains: a text inside its text.
            sender: its sender.
            timeout: seconds of real time.

        Raises:
            AssertionError: none was sent in this time; the text shows which ones were.
        """
        sought = Sought(to=to, text=text, contains=contains, sender=sender)
        found = await self._bell.until(lambda: sought.find(self.gateway.messages), timeout)
        if found is None:
            raise AssertionError(not_found(sought, self.messages))
        return found

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
        if self.callbacks is None or not self.callbacks.inbound_sms:
            raise LocalProtocolError("no URL was entered", field="callbacks", section="6")
        if data is not None:
            contents = [Content(data, data_coding, esm_class)]
        else:
            contents = contents_of(text or "", next(self._references))
        template, now = self.callbacks.inbound_sms, self.gateway.date(self.clock.now())
        messages = (message_of(content, sender, receiver, now) for content in contents)
        urls = [inbound_sms.encode_push(template, message) for message in messages]
        posts = [Post(PushKind.INBOUND_SMS, HttpRequest("GET", url)) for url in urls]
        statuses = tuple([await self._pusher.request(post) for post in posts])
        if self._console:
            sent = Inbound(sender, receiver, text, data, self.clock.now(), statuses)
            self._console.desk.recorder.forwarded(sent)
            self._bell.ring()
        return statuses

    # --- what it is told, and whom it tells -------------------------------------------------

    def _address(self, kind: PushKind) -> str | None:
        if kind is PushKind.DELIVERY_REPORTS:
            return self.gateway.report_url
        return (self.callbacks.hlr_reports or None) if self.callbacks else None

    def _arrived(self, arrival: Arrival) -> None:
        if self._console:
            self._console.desk.recorder.arrived(
                arrival, float(self.gateway.price_of(arrival.exchange))
            )
        if self._recording:
            self._recording.write(arrival)
        self._bell.ring()

    def _was_pushed(self, push: Pushed) -> None:
        if self._console:
            self._console.desk.recorder.pushed(push)
        self._bell.ring()
