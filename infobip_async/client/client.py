"""The client: sends, the balance, delivery reports and HLR queries."""

import os
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import tzinfo
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn, Self, SupportsIndex

import httpx

from infobip_async.bulk.items import Exclude, SendResult
from infobip_async.bulk.job import SendRecord, settle_doubts
from infobip_async.bulk.run import BulkSend, Source
from infobip_async.client.composer import NO_COPIES, Composer
from infobip_async.client.connections import make_sender, proxy_of
from infobip_async.client.environment import complete_options
from infobip_async.client.in_flight import InFlight
from infobip_async.client.outcomes import Outcomes
from infobip_async.client.reports import ReportQueue
from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import DeliveryReport, UnreadableRow
from infobip_async.models.messages import Message, Recipients
from infobip_async.models.receipts import HlrSubmission, PartReceipt, SendReceipt
from infobip_async.protocol import commands, hlr_query, send_get, send_xml
from infobip_async.protocol.exchange import Credentials, Endpoints
from infobip_async.redaction import protect_logs
from infobip_async.router import Router
from infobip_async.runs.hours import Between, Hours
from infobip_async.runs.run import Run
from infobip_async.runs.settings import OnUnknown, RunSettings
from infobip_async.telemetry.watching import Telemetry, watch
from infobip_async.text.segments import Ucs2Form


class InfobipClient:
    """Sends messages, asks for the balance and for reports, and submits HLR queries.

    Every method can be called concurrently. A request goes on when its caller is cancelled. Use the
    client as a context manager, or close it with `aclose`.

    If no answer comes, every method raises `NotSentError` (no byte left this machine) or
    `OutcomeUnknownError` (some may have left). For an unreadable answer, sends and queries raise
    `OutcomeUnknownError`, and the others `RemoteProtocolError`.

    Args:
        username: of the account.
        password: of the account.
        endpoints: the URLs of the services; the document's, over https, by default.
        http: an ``httpx.AsyncClient`` of yours, with its own connections; it is not closed here.
        concurrency: requests at once; further calls wait for their turn.
        connect_timeout: seconds to connect and to agree on TLS; None waits for ever.
        read_timeout: seconds without an octet of a reply, which may take ten times that in all.
        write_timeout: seconds in which no octet of the request is accepted.
        connect_retries: retries of a request that failed before any byte was sent.
        proxy: URL of an HTTP proxy, with its login; those of the environment are not used.
        ssl_context: for https; certifi's certificates by default.
        ca_file: PEM file of the certificates to trust, such as a company's, in place of certifi's.
        stop_timeout: seconds that `aclose` waits for requests in flight.
        allow_insecure: send the password over plain http to other machines than this one.
        ucs2: how text beyond the GSM alphabet goes on the wire (§2/1.2).
        reference_width: bits of the reference that joins the parts of such a text, 8 or 16.
        zone: the gateway's time zone; without it the dates of reports are naive.
        id_key: 16 octets or more. Message ids are tagged with it, so that a receiver with the same
            key refuses forged reports; ids of your own must come from `tag_message_id` then.
        telemetry: where spans and metrics go; OpenTelemetry's global providers by default.

    Raises:
        LocalProtocolError: a credential is empty, an endpoint is unfit, or an argument too small.
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
        ca_file: str | Path | None = None,
        stop_timeout: float = 30.0,
        allow_insecure: bool = False,
        ucs2: Ucs2Form = Ucs2Form.BINARY,
        reference_width: Literal[8, 16] = 8,
        zone: tzinfo | None = None,
        id_key: str | bytes | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._endpoints = endpoints or Endpoints()
        if not isinstance(self._endpoints, Endpoints):
            raise LocalProtocolError("see Endpoints.at and Endpoints.later", field="endpoints")
        self._credentials = Credentials(username, password)
        del password  # or the traceback of what is raised below could show it
        self._composer = Composer(ucs2, reference_width, id_key)
        del id_key  # likewise
        if not (username and self._credentials.password):
            raise LocalProtocolError("username and password must be given", field="username")
        self._endpoints.check(allow_insecure=allow_insecure)
        through, fault = proxy_of(proxy)
        del proxy  # likewise
        if fault is not None:
            raise LocalProtocolError(fault, field="proxy")
        timeouts = {"connect": connect_timeout, "read": read_timeout, "write": write_timeout}
        sender, self._transport = make_sender(
            http, timeouts, through, ssl_context, ca_file, retries=connect_retries
        )
        self._outcomes = Outcomes(sender, InFlight(concurrency), watch(telemetry), username)
        self._stop_timeout = stop_timeout
        url = self._endpoints.dlr_pull
        self.reports: ReportQueue = ReportQueue(self._outcomes, url, self._credentials, zone)
        protect_logs()

    @classmethod
    def from_env(cls, **options: object) -> Self:
        """Make a client of ``INFOBIP_USERNAME`` and ``INFOBIP_PASSWORD`` in the environment.

        Args:
            options: the keyword arguments of the class. Without `endpoints`, the document's paths
                are taken to be under ``INFOBIP_BASE_URL``, and without `ca_file`, `ssl_context`
                and `http` the certificates of ``SSL_CERT_FILE`` are trusted, where these are set.

        Raises:
            LocalProtocolError: a variable is not set, or its value is no good.
        """
        complete_options(options)
        return cls(  # no local variable: a traceback would show the password
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

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(NO_COPIES)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Start no further request, wait for those in flight, and close the connections.

        A request that takes longer than `stop_timeout` is cancelled (`OutcomeUnknownError`). Calls
        that wait for their turn, and later ones, raise `NotSentError`.

        Raises:
            LocalProtocolError: another event loop has used the client.
        """
        self._outcomes.in_flight.check_loop()
        self.reports.close()
        try:
            await self._outcomes.in_flight.drain(self._stop_timeout)
        finally:
            if self._transport is not None:
                await self._transport.aclose()

    async def send(
        self, message: Message, recipients: Recipients, *, registered: bool = True
    ) -> SendReceipt:
        """Send a message to its recipients by XML POST (§2/1).

        Args:
            message: what to send. `preview` shows the alphabet and the parts of a text.
            recipients: up to 10,000, none of them twice.
            registered: ask for delivery reports: a recipient without a message id gets a
                generated one. Without it the plain form is sent, and no report comes.

        Raises:
            LocalProtocolError: a rule of the document is broken; nothing was sent.
            GatewayRefusedError: the gateway said no; nothing was sent.
            NotSentError: no byte left this machine.
            OutcomeUnknownError: it may have been sent; reports will name its `message_ids`.
        """
        addressed = self._composer.addressed(recipients, registered=registered)
        plan = self._composer.plan(message, addressed)
        encode = partial(send_xml.encode_request, self._endpoints.send_xml, self._credentials)
        ids = tuple(one.message_id for _, to in plan for one in to if one.message_id)
        encoders = [partial(encode, *one) for one in plan]
        decode = send_xml.decode_reply
        replies = await self._outcomes.submit("send", len(addressed), encoders, decode, ids)
        answered = zip(replies, plan, strict=True)
        parts = (PartReceipt(one.accepted, one.credits, to) for one, (_, to) in answered)
        self._outcomes.told_credits(replies[-1].credits)
        return SendReceipt(addressed, tuple(parts))

    async def send_one(self, message: Message, recipient: str) -> str:
        """Send `message` to one `recipient` by GET (§2/2), and return the gateway's id of it.

        Prefer `send`: here the URL holds the password, and no delivery report can settle an
        unknown outcome, since a GET carries no message id of the client's. Of a text that goes out
        in several requests it is the first id. The errors are those of `send`.
        """
        encode = partial(send_get.encode_request, self._endpoints.send_get, self._credentials)
        encoders = [partial(encode, part, recipient) for part in self._composer.parts(message)]
        return (await self._outcomes.submit("send_one", 1, encoders, send_get.decode_reply))[0]

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
        job: str | Path | SendRecord | None = None,
        on_unknown: OnUnknown = "report",
        unreachable_timeout: float = 300.0,
        between: Between | None = None,
        between_zone: str | tzinfo | None = None,
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
            exclude: numbers that nothing is sent to, which are `SendOutcome.EXCLUDED`: a collection
                of them in any international form, a container, or a coroutine function.
            job: a file that remembers intents and outcomes, so that the same call with the same
                source goes on after a crash; None to remember nothing.
            on_unknown: what the next run of a job does with items whose outcome is unknown:
                ``"report"`` gives them as they are, ``"repeat"`` sends them again, but for those
                of a request that the gateway answered, accepting fewer than it had.
            unreachable_timeout: seconds that a gateway which cannot be connected to is waited for.
            between: the hours of the day in which requests go out, such as ``"09:00-20:00"``.
            between_zone: whose hours, such as ``"Europe/Zagreb"``; this machine's by default.
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
            hours=Hours.of(between, between_zone),
            on_unknown=on_unknown,
            stop_timeout=stop_timeout,
        )
        engine = BulkSend(self, source, settings, exclude, job)
        return Run(engine, self._outcomes.watch, "send_many")

    def make_message_id(self) -> str:
        """Make a unique message id."""
        return self._composer.make_message_id()

    def message_ids(self, message: Message, message_id: str) -> tuple[str, ...]:
        """The ids that reports name for `message` if it is sent as `message_id`: one per request.

        Raises:
            LocalProtocolError: the message breaks a rule of the document.
        """
        return self._composer.message_ids(message, message_id)

    async def credits(self) -> Decimal:
        """Ask for the balance of the account (§2/2.1). The URL holds the password."""
        encode = partial(commands.encode_request, self._endpoints.command, self._credentials)
        balance = await self._outcomes.read("credits", encode, commands.decode_reply)
        self._outcomes.told_credits(balance)
        return balance

    async def pull_reports(
        self, message_ids: Iterable[str] = (), *, router: Router | None = None
    ) -> tuple[DeliveryReport, ...]:
        """Take the delivery reports that wait at the gateway (§3.2), which gives each once.

        The URL holds the password. What a cancelled call pulled is kept for the next call.

        Args:
            message_ids: the messages to ask about; all where there are none.
            router: its handlers of `UnreadableRow` get what cannot be read, a whole reply included.

        Raises:
            RemoteProtocolError: the reply cannot be read, and there is no router; its `raw` may be
                the only copy.
        """
        return await self.reports.take(message_ids, router)

    def take_unreadable_reports(self) -> tuple[UnreadableRow, ...]:
        """Take the last 10,000 pulled rows that could not be read, and that no handler got."""
        return self.reports.take_unreadable()

    async def reconcile(
        self,
        message_ids: Iterable[str] = (),
        *,
        router: Router | None = None,
        job: str | Path | None = None,
    ) -> Mapping[str, DeliveryReport]:
        """Ask about messages whose outcome is unknown (§3.2).

        A report proves that its message was sent. No report proves nothing: it may come later,
        have been taken before, or be pushed.

        Args:
            message_ids: of `OutcomeUnknownError`, or of `SendResult`.
            router: its handlers get the reports, and the rows that cannot be read.
            job: of `send_many`, while no run uses it. Its unknown items are asked about, too; those
                with a report are `SendOutcome.SENT` for the next run.

        Returns:
            The latest report of each message that was sent, by its id.

        Raises:
            RemoteProtocolError: a reply cannot be read; its `raw` may be the only copy.
            StorageUnavailableError: the job cannot be opened or written.
            ExceptionGroup: of the router's handlers. The next call gives the same reports again.
        """
        ask = partial(self.reports.reconcile, router=router)
        proven = await ask(message_ids)
        if job is not None:
            with self.reports.kept(proven.values()):
                await settle_doubts(job, ask, proven)
        return proven

    def poll_reports(
        self, *, interval: float = 60.0, router: Router | None = None
    ) -> AsyncGenerator[DeliveryReport, None]:
        """Pull delivery reports again and again, and yield them one by one.

        It ends when the client is closed, and can be left at any time: reports that were not
        yielded are kept for the next call. It goes on after lost replies and HTTP errors.

        Args:
            interval: seconds between two pulls.
            router: as for `pull_reports`. If its handlers fail, they get the same again.

        Raises:
            GatewayRefusedError: the gateway refuses, such as a wrong password.
            RemoteProtocolError: as `pull_reports` raises it.
        """
        return self.reports.poll(interval, router)

    async def submit_hlr(
        self, destinations: Iterable[str], *, method: Literal["POST", "GET"] = "POST"
    ) -> tuple[HlrSubmission, ...]:
        """Submit numbers for lookup (§4), and get a row for each; see `HlrLookups` for the reports.

        Args:
            destinations: the numbers; the gateway judges each of them.
            method: POST keeps the password out of the URL.

        Raises:
            LocalProtocolError: no destination, or one that the request cannot carry.
            GatewayFailureError: the gateway refuses the query as a whole.
            OutcomeUnknownError: it may have been accepted, and may cost.
        """
        several = [destinations] if isinstance(destinations, str) else list(destinations)
        url = self._endpoints.hlr_query
        encode = partial(hlr_query.encode_request, url, self._credentials, several, method=method)
        decode = partial(hlr_query.decode_reply, destinations=several)
        return (await self._outcomes.submit("submit_hlr", len(several), [encode], decode))[0]
