"""The client: what to send, and what became of it."""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from datetime import tzinfo
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import httpx

from infobip_async.bulk.items import SendResult
from infobip_async.bulk.job import settle_doubts
from infobip_async.bulk.run import BulkSend, Exclude, Source
from infobip_async.client.composer import Composer
from infobip_async.client.connections import default_transport
from infobip_async.client.in_flight import InFlight
from infobip_async.client.outcomes import Outcomes
from infobip_async.client.reports import ReportQueue
from infobip_async.client.transport import HttpSender
from infobip_async.errors import GatewayUnreachableError, LocalProtocolError
from infobip_async.models import (
    DeliveryReport,
    HlrSubmission,
    Message,
    PartReceipt,
    Recipients,
    SendReceipt,
)
from infobip_async.protocol import commands, hlr_query, send_get, send_xml
from infobip_async.protocol.exchange import Credentials, Endpoints
from infobip_async.protocol.message_ids import IdKey
from infobip_async.redaction import protect_logs
from infobip_async.router import Router
from infobip_async.runs.run import Run
from infobip_async.runs.settings import OnUnknown, RunSettings
from infobip_async.text.segments import Ucs2Form

_logger = logging.getLogger("infobip_async.client")


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
        id_key: 16 octets or more, with which message ids are tagged, so that a receiver with the
            same key tells reports on them from forged ones. Message ids of the caller's own must
            then be made with `tag_message_id`.

    Raises:
        LocalProtocolError: a credential is empty, an endpoint is no URL or insecure, or a number
            or the key is too small.
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
        id_key: str | bytes | None = None,
    ) -> None:
        self._endpoints = endpoints or Endpoints()
        if not isinstance(self._endpoints, Endpoints):
            raise LocalProtocolError("see Endpoints.at and Endpoints.later", field="endpoints")
        self._credentials = Credentials(username, password)
        del password  # or the traceback of what is raised below could show it
        key = None if id_key is None else IdKey(id_key)
        del id_key  # likewise
        self._composer = Composer(ucs2, reference_width, key)
        if not (username and self._credentials.password):
            raise LocalProtocolError("username and password must be given", field="username")
        if http is not None and (proxy or ssl_context):
            raise LocalProtocolError("it brings its own proxy and TLS settings", field="http")
        if concurrency < 1 or connect_retries < 0:
            field = "concurrency" if concurrency < 1 else "connect_retries"
            raise LocalProtocolError("is too small", field=field)
        self._endpoints.check(allow_insecure=allow_insecure)
        timeouts = {"connect": connect_timeout, "read": read_timeout, "write": write_timeout}
        timeouts["pool"] = None  # the limit stands in front of it
        self._transport: httpx.AsyncBaseTransport | None = None
        if http is None:
            self._transport = default_transport(proxy, ssl_context, concurrency)
            # Past httpx's client layer, which logs URLs and costs as much as all the rest.
            build, send = httpx.Request, self._transport.handle_async_request
            sender = HttpSender(build, send, timeouts, connect_retries)
        else:
            # A redirect would repeat a send.
            through = partial(http.send, stream=True, follow_redirects=False)
            sender = HttpSender(http.build_request, through, timeouts, connect_retries)
        self._outcomes = Outcomes(sender, InFlight(concurrency))
        self._close_timeout = close_timeout
        self._closing = asyncio.Event()
        dlr_url = self._endpoints.dlr_pull
        self._reports = ReportQueue(self._outcomes, dlr_url, self._credentials, zone)
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
        return cls(
            os.environ["INFOBIP_USERNAME"],
            os.environ["INFOBIP_PASSWORD"],
            **options,  # type: ignore[arg-type]  # checked by the class
        )

    @property
    def username(self) -> str:
        """The username of the account."""
        return self._credentials.username

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

        What takes longer than `close_timeout` is cancelled, and raises `OutcomeUnknownError`. What
        still waits for its turn, and what is called later, raises `NotSentError`.
        """
        self._closing.set()
        try:
            await self._outcomes.in_flight.drain(self._close_timeout)
        finally:
            if self._transport is not None:
                await self._transport.aclose()
        if waiting := len(self._reports.waiting):
            _logger.warning("%d delivery reports were pulled and not taken", waiting)

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
        addressed = self._composer.addressed(recipients, registered=registered)
        plan = self._composer.plan(message, addressed)
        url = self._endpoints.send_xml
        replies = await self._outcomes.submit(
            [partial(send_xml.encode_request, url, self._credentials, *one) for one in plan],
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
        encoders = [
            partial(send_get.encode_request, url, self._credentials, part, recipient)
            for part in self._composer.parts(message)
        ]
        return (await self._outcomes.submit(encoders, send_get.decode_reply))[0]

    def send_many(
        self,
        source: Source,
        *,
        batch_size: int = 100,
        batch_age: float = 0.05,
        concurrency: int = 8,
        window: int = 10_000,
        rate: float | None = None,
        max_parts: int | None = None,
        min_credits: Decimal | None = None,
        exclude: Exclude | None = None,
        job: str | Path | None = None,
        on_unknown: OnUnknown = "report",
        unreachable_timeout: float = 300.0,
        stop_timeout: float = 30.0,
    ) -> Run[SendResult]:
        """Send many messages, and yield the outcome of each item as it comes.

        Nothing is raised for an item. A run that cannot go on (a refusal that concerns the account,
        a wrong address, a gateway that stays away or does not answer, a limit that is reached)
        stops reading, gives what it has read its outcome, and raises `RunStoppedError`. What the
        source raises is raised after the outcomes of the items before it.

        Args:
            source: an iterable or async iterable, of any length, of `Outgoing` or of pairs of
                message and recipient. It is read no faster than outcomes are taken.
            batch_size: items of one message that share a request, up to 10,000. Where the gateway
                accepts fewer than a request has, the outcome of all of them is unknown, since it
                does not say which.
            batch_age: seconds that an item waits for others to share its request.
            concurrency: requests in flight at most.
            window: items that have been read and whose results have not been taken, at most.
            rate: parts per second, evenly: no request has more than a twentieth of it, or one
                item. None for no limit.
            max_parts: parts in all that may go out; the run ends before it would be exceeded.
            min_credits: what must be left of the balance; the run ends before it is not, reckoning
                with the highest price of a part so far.
            exclude: numbers that nothing is sent to: a container, or a coroutine function that is
                asked for each. Their outcome is `SendOutcome.EXCLUDED`.
            job: a file that remembers intents and outcomes, so that the same call with the same
                source goes on after a crash; None to remember nothing.
            on_unknown: what the next run of a job does with items whose outcome is unknown:
                ``"report"`` gives them as they are, ``"repeat"`` sends them again, but for those
                of a request that the gateway answered, accepting fewer than it had.
            unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
            stop_timeout: seconds that a stop, or leaving early, waits for requests in flight.

        Raises:
            LocalProtocolError: an option is out of its range; or, from the iteration, the file is
                no job of this account.
            RunStoppedError: from the iteration: the run could not go on.
            StorageUnavailableError: from the iteration: the job cannot be opened, or written any
                more; nothing further was sent, and the same call goes on when it can.
        """
        settings = RunSettings(
            batch_size=batch_size,
            batch_age=batch_age,
            concurrency=concurrency,
            window=window,
            rate=rate,
            most=max_parts,
            min_credits=min_credits,
            unreachable_timeout=unreachable_timeout,
            job=job,
            on_unknown=on_unknown,
            stop_timeout=stop_timeout,
        )
        return BulkSend(self, source, settings, exclude).run()

    def make_message_id(self) -> str:
        """Make a message id that no other message has."""
        return self._composer.make_message_id()

    def message_ids(self, message: Message, message_id: str) -> tuple[str, ...]:
        """The ids that delivery reports name of a message that is sent under an id (§3.1).

        They are that id alone, or of a text that goes out in several requests one for each.

        Raises:
            LocalProtocolError: the message breaks a rule of the document.
        """
        return self._composer.message_ids(message, message_id)

    # --- the account ---

    async def credits(self) -> Decimal:
        """Ask for the balance of the account (§2/2.1). The URL holds the password.

        Raises:
            AuthenticationError: the gateway does not know the account.
            RemoteProtocolError: the reply is no number.
        """
        encode = partial(commands.encode_request, self._endpoints.command, self._credentials)
        return await self._outcomes.read(encode, commands.decode_reply)

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
        return await self._reports.take(wanted)

    async def reconcile(
        self,
        message_ids: Iterable[str] = (),
        *,
        router: Router | None = None,
        job: str | Path | None = None,
    ) -> Mapping[str, DeliveryReport]:
        """Ask about messages whose outcome is unknown (§3.2).

        A report proves that its message was sent. No report proves nothing: it may be on its way,
        have been taken before, or be pushed, if the account has a URL for that.

        Args:
            message_ids: of `OutcomeUnknownError`, or of `SendResult`.
            router: gets the reports like any others; the gateway gives them once.
            job: of `send_many`, while no run is at it: its unknown items are asked about, too, and
                those that are proven are `SendOutcome.SENT` for the next run.

        Returns:
            The latest report of each message that was sent, by its id.

        Raises:
            AuthenticationError: the username or password is wrong or missing.
            RemoteProtocolError: a reply cannot be read; its `raw` may be the only copy.
            StorageUnavailableError: the job cannot be opened or written.
            ExceptionGroup: what the router's handlers raised. What was pulled until then is
                given again by the next call.
        """
        ask = partial(self._reports.reconcile, router=router)
        proven = await ask(message_ids)
        if job is not None:
            with self._reports.kept(proven):
                await settle_doubts(job, ask, proven)
        return proven

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
                await self._reports.pull()
            except GatewayUnreachableError as fault:
                _logger.warning("delivery reports could not be pulled: %s", fault)
            while self._reports.waiting:
                yield self._reports.waiting.popleft()
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._closing.wait()

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
        encode = partial(hlr_query.encode_request, url, self._credentials, several, method=method)
        decode = partial(hlr_query.decode_reply, destinations=several)
        return (await self._outcomes.submit([encode], decode))[0]
