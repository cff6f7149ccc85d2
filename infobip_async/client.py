"""The client: what to send, and what became of it."""

import asyncio
import itertools
import logging
import os
import secrets
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import tzinfo
from decimal import Decimal
from types import TracebackType
from typing import Literal, NoReturn, Self, TypeVar

import httpx

from infobip_async.errors import (
    GatewayUnreachableError,
    InfobipError,
    LocalProtocolError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.models import (
    DeliveryReport,
    HlrSubmission,
    Message,
    PartReceipt,
    Recipient,
    SendReceipt,
    Submission,
)
from infobip_async.protocol import commands, dlr_pull, hlr_query, send_get, send_xml
from infobip_async.protocol.exchange import Credentials, Endpoints, HttpReply, HttpRequest
from infobip_async.redaction import protect_logs, spellings
from infobip_async.text.segments import Ucs2Form, compose
from infobip_async.transport import Carrier, Flights, default_transport, directly, through

T = TypeVar("T")

Recipients = str | Recipient | Iterable[str | Recipient]
"""One recipient, or several."""

_log = logging.getLogger(__name__)


class InfobipClient:
    """Sends messages, asks for the balance and for reports, and submits HLR queries.

    Every method can be called concurrently. What is under way is not cancelled with its caller:
    the exchange goes on by itself, and a message of several parts is finished. To be used as a
    context manager, or closed with `aclose`.

    Whenever no answer comes, every method raises `NotSentError` where no byte had left this
    machine, and `OutcomeUnknownError` where some may have; the latter also where a send or a
    query got an answer that cannot be read.

    Args:
        username: of the account.
        password: of the account.
        endpoints: where the services are; the document's addresses over https by default.
        http: an ``httpx.AsyncClient`` of the caller's to send through; it is not closed here, and
            its own pool decides about connections.
        concurrency: calls under way at the most; further ones wait for their turn.
        connect_timeout: seconds to connect, and to agree on TLS; None waits for ever.
        read_timeout: seconds without an octet of the reply.
        write_timeout: seconds without an octet of the request being taken.
        connect_retries: times that a request is repeated of which no byte had left.
        proxy: URL of an HTTP proxy. Proxies of the environment are not used.
        ssl_context: for https; certifi's certificates by default.
        close_timeout: seconds that `aclose` waits for what is under way.
        allow_insecure: let the password travel over plain http to other hosts than this one.
        ucs2: how text beyond the GSM alphabet goes on the wire (§2/1.2).
        reference_width: bits of the reference that joins the parts of such a text, 8 or 16.
        zone: the gateway's time zone; without it the dates of reports are naive.

    Raises:
        LocalProtocolError: a credential is empty, or an endpoint is no URL or insecure.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        endpoints: Endpoints | None = None,
        http: httpx.AsyncClient | None = None,
        concurrency: int = 50,
        connect_timeout: float | None = 10.0,
        read_timeout: float | None = 60.0,
        write_timeout: float | None = 30.0,
        connect_retries: int = 1,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        close_timeout: float = 30.0,
        allow_insecure: bool = False,
        ucs2: Ucs2Form = Ucs2Form.BINARY,
        reference_width: Literal[8, 16] = 8,
        zone: tzinfo | None = None,
    ) -> None:
        if not (username and password):
            raise LocalProtocolError("username and password must be given", field="username")
        if http and (proxy or ssl_context):
            raise LocalProtocolError("it brings its own proxy and TLS settings", field="http")
        self._endpoints = endpoints or Endpoints()
        self._endpoints.check(allow_insecure=allow_insecure)
        self._credentials = Credentials(username, password)
        self._transport: httpx.AsyncBaseTransport | None = None
        if http is None:
            self._transport = default_transport(proxy, ssl_context, concurrency)
            send = directly(self._transport)
        else:
            send = through(http)
        timeouts = {"connect": connect_timeout, "read": read_timeout, "write": write_timeout}
        self._carrier = Carrier(
            send, timeouts | {"pool": None}, connect_retries, spellings(password)
        )
        self._flights = Flights(concurrency)
        self._close_timeout = close_timeout
        self._closing = asyncio.Event()
        self._ucs2 = ucs2
        self._reference_width: Literal[8, 16] = reference_width
        self._zone = zone
        prefix = secrets.token_hex(8)
        self._ids = (f"{prefix}-{number:x}" for number in itertools.count(1))
        self._references = itertools.count(secrets.randbelow(1 << 16))
        self._pulled: deque[DeliveryReport] = deque()
        protect_logs()

    @classmethod
    def from_env(cls, **options: object) -> Self:
        """Make a client from the environment.

        ``INFOBIP_USERNAME`` and ``INFOBIP_PASSWORD`` must be set; ``INFOBIP_BASE_URL``, where it
        is, has the document's paths under it.

        Args:
            options: the keyword arguments of the class.

        Raises:
            LocalProtocolError: a variable is not set.
        """
        for name in ("INFOBIP_USERNAME", "INFOBIP_PASSWORD"):
            if not os.environ.get(name):
                raise LocalProtocolError("not set in the environment", field=name)
        if base := os.environ.get("INFOBIP_BASE_URL"):
            options.setdefault("endpoints", Endpoints.at(base))
        username, password = os.environ["INFOBIP_USERNAME"], os.environ["INFOBIP_PASSWORD"]
        return cls(username, password, **options)  # type: ignore[arg-type]  # checked by the class

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._credentials.username!r}, {self._endpoints!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Start nothing more, wait for what is under way, and close the connections.

        What takes longer than `close_timeout` is cancelled; its outcome stays unknown.
        """
        self._closing.set()
        await self._flights.land(self._close_timeout)
        if self._transport is not None:
            await self._transport.aclose()
        if self._pulled:
            _log.warning("%d delivery reports were pulled and not taken", len(self._pulled))

    # --- sending ---

    async def send(
        self, message: Message, recipients: Recipients, *, registered: bool = True
    ) -> SendReceipt:
        """Send a message to its recipients by XML POST (§2/1).

        Args:
            message: what to send. A text is put into the GSM alphabet or UCS-2, and into parts,
                as `preview` shows.
            recipients: up to 10,000, none of them twice.
            registered: ask for delivery reports: each recipient gets a message id, a generated
                one where it has none. Without, the plain form is sent, and no report comes.

        Raises:
            LocalProtocolError: a rule of the document is broken; nothing was sent.
            GatewayRefusedError: the gateway said no; nothing was sent.
            NotSentError: no byte left this machine.
            OutcomeUnknownError: it may have been sent, whole or in part; its `message_ids` are
                what reports will name.
        """
        addressed = self._addressed(recipients, registered=registered)
        parts = self._compose(message)
        plan = [(part, _of_part(addressed, at, len(parts))) for at, part in enumerate(parts, 1)]
        url = self._endpoints.send_xml
        requests = (send_xml.encode_request(url, self._credentials, part, to) for part, to in plan)
        replies = await self._order(
            requests,
            send_xml.decode_reply,
            tuple(one.message_id for _, to in plan for one in to if one.message_id),
        )
        return SendReceipt(
            addressed,
            tuple(
                PartReceipt(reply.accepted, reply.credits, to)
                for reply, (_, to) in zip(replies, plan, strict=True)
            ),
        )

    async def send_one(self, message: Message, recipient: str) -> str:
        """Send a message to one recipient by GET (§2/2), and get the gateway's id of it.

        The URL holds the password, and no delivery report can settle an unknown outcome, since
        the client sets no message id: `send` has neither flaw. A text that goes out in several
        requests has an id for each, of which this is the first.

        Raises:
            LocalProtocolError: a rule of the document is broken; nothing was sent.
            GatewayRefusedError: the gateway said no; nothing was sent.
            NotSentError: no byte left this machine.
            OutcomeUnknownError: it may have been sent, whole or in part.
        """
        url = self._endpoints.send_get
        requests = (
            send_get.encode_request(url, self._credentials, part, recipient)
            for part in self._compose(message)
        )
        return (await self._order(requests, send_get.decode_reply))[0]

    def _addressed(self, recipients: Recipients, *, registered: bool) -> tuple[Recipient, ...]:
        several = [recipients] if isinstance(recipients, str | Recipient) else recipients
        every = [Recipient(one) if isinstance(one, str) else one for one in several]
        if registered:
            return tuple(
                one if one.message_id else Recipient(one.msisdn, next(self._ids)) for one in every
            )
        if any(one.message_id for one in every):
            raise LocalProtocolError(
                "a message id asks for registered delivery", field="registered", section="2/1.1"
            )
        return tuple(every)

    def _compose(self, message: Message) -> Sequence[Submission]:
        return compose(
            message,
            ucs2=self._ucs2,
            reference=next(self._references) % (1 << self._reference_width),
            reference_width=self._reference_width,
        ).submissions

    # --- the account ---

    async def credits(self) -> Decimal:
        """Ask for the balance of the account (§2/2.1). The URL holds the password.

        Raises:
            AuthenticationError: the gateway does not know the account.
            RemoteProtocolError: the reply is no number.
        """
        request = commands.encode_request(self._endpoints.command, self._credentials)
        return await self._ask(request, commands.decode_reply)

    # --- delivery reports ---

    async def pull_reports(self, message_ids: Iterable[str] = ()) -> tuple[DeliveryReport, ...]:
        """Take the delivery reports that wait at the gateway (§3.2). The URL holds the password.

        The gateway gives each report once. What a cancelled call brought is kept for the next.

        Args:
            message_ids: the messages to ask about; all where there are none.

        Raises:
            AuthenticationError: the username or password is wrong or missing.
            RemoteProtocolError: the reply cannot be read; its `raw` may be the only copy.
        """
        wanted = (message_ids,) if isinstance(message_ids, str) else tuple(message_ids)
        await self._pull(wanted)
        taken = [one for one in self._pulled if not wanted or one.message_id in wanted]
        for report in taken:
            self._pulled.remove(report)
        return tuple(taken)

    async def poll_reports(self, *, interval: float = 60.0) -> AsyncGenerator[DeliveryReport, None]:
        """Pull delivery reports again and again, and yield them one by one.

        It ends when the client is closed, and can be left at any time: reports that were pulled
        and not yet yielded are kept for the next call. A gateway that cannot be reached is tried
        again after the interval.

        Args:
            interval: seconds between two pulls.

        Raises:
            AuthenticationError: the username or password is wrong or missing.
            RemoteProtocolError: a reply cannot be read; its `raw` may be the only copy.
        """
        while not self._closing.is_set():
            try:
                await self._pull(())
            except GatewayUnreachableError as fault:
                _log.warning("delivery reports could not be pulled: %s", fault)
            while self._pulled:
                yield self._pulled.popleft()
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._closing.wait()

    async def _pull(self, message_ids: tuple[str, ...]) -> None:
        """Bring reports into `_pulled`, even where the caller is cancelled meanwhile."""
        request = dlr_pull.encode_request(self._endpoints.dlr_pull, self._credentials, message_ids)

        def keep(reply: HttpReply) -> None:
            for row in dlr_pull.decode_reply(reply, zone=self._zone):
                if isinstance(row, DeliveryReport):
                    self._pulled.append(row)
                else:
                    _log.warning("an unreadable report was pulled: %s: %r", row.reason, row.raw)

        await self._ask(request, keep)

    # --- lookups ---

    async def submit_hlr(
        self, destinations: Iterable[str], *, method: Literal["POST", "GET"] = "POST"
    ) -> tuple[HlrSubmission, ...]:
        """Submit numbers for lookup (§4), whose reports are pushed later; see `HlrLookups`.

        Args:
            destinations: the numbers; the gateway judges each.
            method: POST keeps the password out of the URL.

        Returns:
            A row for each destination, in the order given.

        Raises:
            LocalProtocolError: no destination, or one that the request cannot carry.
            GatewayFailureError: the gateway refuses the query as a whole.
            OutcomeUnknownError: it may have been accepted, and may cost.
        """
        several = [destinations] if isinstance(destinations, str) else list(destinations)
        url = self._endpoints.hlr_query
        request = hlr_query.encode_request(url, self._credentials, several, method=method)

        def decode(reply: HttpReply) -> tuple[HlrSubmission, ...]:
            return hlr_query.decode_reply(reply, several)

        return (await self._order(iter([request]), decode))[0]

    # --- exchanges ---

    async def _ask(self, request: HttpRequest, decode: Callable[[HttpReply], T]) -> T:
        """Make an exchange that changes nothing: an unreadable reply is just that."""

        async def exchange() -> T:
            return decode(await self._carrier.carry(request))

        return await self._flights.fly(exchange)

    async def _order(
        self,
        requests: Iterator[HttpRequest],
        decode: Callable[[HttpReply], T],
        message_ids: tuple[str, ...] = (),
    ) -> list[T]:
        """Make one exchange after the other, each of which does something at the gateway.

        The first request is made before anything is sent, so that a caller's mistake is raised
        here; a failure after the first reply leaves the whole in doubt.
        """
        first = next(requests)
        replies: list[T] = []

        async def exchange() -> list[T]:
            for request in itertools.chain([first], requests):
                try:
                    replies.append(decode(await self._carrier.carry(request)))
                except InfobipError as fault:
                    _raise_outcome(fault, len(replies), message_ids)
            return replies

        return await self._flights.fly(exchange)


def _raise_outcome(fault: InfobipError, done: int, message_ids: tuple[str, ...]) -> NoReturn:
    """Raise what a failed exchange means, after so many that were carried out."""
    if done:
        raise OutcomeUnknownError(
            f"{done} of several parts were sent, then: {fault}", message_ids=message_ids
        ) from fault
    if isinstance(fault, OutcomeUnknownError | RemoteProtocolError):
        raise OutcomeUnknownError(
            f"the outcome is unknown: {fault}", message_ids=message_ids
        ) from fault
    raise fault


def _of_part(recipients: tuple[Recipient, ...], number: int, total: int) -> tuple[Recipient, ...]:
    """The recipients of one part, with ids of its own where there are several parts."""
    if total == 1:
        return recipients
    return tuple(
        Recipient(one.msisdn, one.message_id and f"{one.message_id}-{number}") for one in recipients
    )
