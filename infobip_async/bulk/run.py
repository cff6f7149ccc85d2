"""The engine of `InfobipClient.send_many`."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Literal, Protocol, TypedDict

import attrs

from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import Job, Record
from infobip_async.errors import (
    AuthenticationError,
    GatewayRefusedError,
    InfobipError,
    JournalUnavailableError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.models import Message, Recipient, SendReceipt
from infobip_async.numbering.msisdn import check_destination
from infobip_async.pace import Backoff, Pace
from infobip_async.pipeline import Pipeline
from infobip_async.protocol.send_xml import MAX_RECIPIENTS
from infobip_async.text.segments import preview

Source = (
    Iterable[Outgoing | tuple[Message, str | Recipient]]
    | AsyncIterable[Outgoing | tuple[Message, str | Recipient]]
)
"""Any source of items, of any length."""

OPEN_GROUPS: Final = 16
"""Requests that are being filled at the same time; with more messages than that, the fullest of
their kind are rare, and the oldest goes out as it is."""

_AGAIN: Final[dict[str, frozenset[SendOutcome | None]]] = {
    "at_most_once": frozenset({SendOutcome.NOT_SENT}),
    "at_least_once": frozenset({SendOutcome.NOT_SENT, SendOutcome.UNKNOWN, None}),
}


Guarantee = Literal["at_most_once", "at_least_once"]
"""How often an item may be sent whose outcome an earlier run did not learn."""


class BulkOptions(TypedDict, total=False):
    """The fields of `BulkSettings`, as keyword arguments."""

    batch_size: int
    batch_age: float
    requests: int
    window: int
    rate: float | None
    attempts: int
    job: str | Path | None
    guarantee: Guarantee
    stop_timeout: float


class BulkClient(Protocol):
    """What sends the requests: `InfobipClient`, or something in its place."""

    async def send(self, message: Message, recipients: Sequence[Recipient], /) -> SendReceipt:
        """Send one message to several recipients."""

    def make_message_id(self) -> str:
        """A new message id."""

    def message_ids(self, message: Message, message_id: str, /) -> tuple[str, ...]:
        """What delivery reports name of a message that is sent under an id."""


@attrs.frozen(kw_only=True)
class BulkSettings:
    """How a bulk send is run.

    Attributes:
        batch_size: items of one message that share a request, up to 10,000. Where the gateway
            accepts fewer than a request has, the outcome of all of them is unknown.
        batch_age: seconds that an item waits for others to share its request.
        requests: requests in flight at the most.
        window: items that have been read and whose results have not been taken, at the most.
        rate: parts per second at the most, evenly; None for no limit.
        attempts: times that a request is tried while the gateway cannot be reached, with growing
            pauses between them. Only what has not left this machine is tried again.
        job: a file that remembers intents and outcomes, so that the same call with the same
            source goes on after a crash; None to remember nothing.
        guarantee: what the next run of a job does with items whose outcome is unknown:
            ``at_most_once`` reports them as they are, ``at_least_once`` sends them again.
        stop_timeout: seconds that leaving the results early waits for requests in flight.
    """

    batch_size: int = 100
    batch_age: float = 0.05
    requests: int = 8
    window: int = 10_000
    rate: float | None = None
    attempts: int = 5
    job: str | Path | None = None
    guarantee: Guarantee = "at_most_once"
    stop_timeout: float = 30.0

    def check(self) -> None:
        """Refuse settings that are out of their range.

        Raises:
            LocalProtocolError: naming the setting.
        """
        if not 1 <= self.batch_size <= MAX_RECIPIENTS:
            raise LocalProtocolError(f"must be from 1 to {MAX_RECIPIENTS}", field="batch_size")
        for name in ("requests", "window", "attempts"):
            if getattr(self, name) < 1:
                raise LocalProtocolError("must be 1 or more", field=name)
        if self.rate is not None and self.rate <= 0:
            raise LocalProtocolError("must be above 0", field="rate")


@attrs.frozen
class _Entry:
    """An item on its way."""

    item: Outgoing
    key: str
    recipient: Recipient
    message_ids: tuple[str, ...]


@attrs.define(eq=False)
class _Group:
    """Items that will share a request.

    Attributes:
        message: theirs.
        parts: of the message.
        suffixes: what makes an item's message id those of its requests.
        most: items that go into the request.
    """

    message: Message
    parts: int
    suffixes: tuple[str, ...]
    most: int
    entries: list[_Entry] = attrs.field(factory=list)
    numbers: set[str] = attrs.field(factory=set)
    timer: asyncio.TimerHandle | None = None


class BulkSend:
    """One call of `InfobipClient.send_many`.

    Args:
        client: sends the requests.
        source: the items.
        settings: how to run.
    """

    def __init__(self, client: BulkClient, source: Source, settings: BulkSettings) -> None:
        settings.check()
        self._client = client
        self._settings = settings
        self._pipeline: Pipeline[Outgoing | tuple[Message, str | Recipient], SendResult] = Pipeline(
            source, self._take, self._finish, settings.window
        )
        self._positions = itertools.count()
        self._groups: dict[Message, _Group] = {}
        self._slots = asyncio.Semaphore(settings.requests)
        self._pace = Pace(settings.rate)
        self._backoff = Backoff()
        self._job = None if settings.job is None else Job(settings.job)
        self._stopped: InfobipError | None = None

    async def results(self) -> AsyncGenerator[SendResult, None]:
        """Yield a result for each item."""
        async with self._job or nullcontext():
            results = self._pipeline.results()
            try:
                async for result in results:
                    yield result
            finally:
                self._stopped = self._stopped or NotSentError("the run was left before its turn")
                await results.aclose()
                await self._pipeline.end(self._settings.stop_timeout)

    # --- from items to requests ---

    def _take(self, given: Outgoing | tuple[Message, str | Recipient]) -> None:
        item = given if isinstance(given, Outgoing) else Outgoing(*given)
        key = item.key or f"#{next(self._positions)}"
        try:
            self._gather(item, key)
        except LocalProtocolError as error:
            self._emit(item, SendOutcome.REFUSED, error=error)

    def _gather(self, item: Outgoing, key: str) -> None:
        """Put an item into the group of its message, which goes out when it is full."""
        recipient = item.recipient
        if isinstance(recipient, str):
            recipient = Recipient(recipient)
        message_id = recipient.message_id or self._client.make_message_id()
        recipient = Recipient(check_destination(recipient.msisdn), message_id)
        group = self._groups.get(item.message)
        if group is not None and recipient.msisdn in group.numbers:
            self._submit(group)  # a gateway drops the second of two equal numbers (§2/1)
            group = None
        if group is None:
            group = self._open(item.message)
        ids = tuple(message_id + suffix for suffix in group.suffixes)
        group.entries.append(_Entry(item, key, recipient, ids))
        group.numbers.add(recipient.msisdn)
        if len(group.entries) >= group.most:
            self._submit(group)

    def _open(self, message: Message) -> _Group:
        parts = len(preview(message).parts)
        most = self._settings.batch_size
        if self._settings.rate is not None:
            # No more than a second's worth goes out at once.
            most = max(1, min(most, int(self._settings.rate // parts)))
        group = _Group(message, parts, self._client.message_ids(message, ""), most)
        self._groups[message] = group
        loop = asyncio.get_running_loop()
        group.timer = loop.call_later(self._settings.batch_age, self._submit, group)
        if len(self._groups) > OPEN_GROUPS:
            self._submit(next(iter(self._groups.values())))
        return group

    def _submit(self, group: _Group) -> None:
        if group.timer is not None:
            group.timer.cancel()
        del self._groups[group.message]
        if group.entries:
            self._pipeline.start(self._send(group))

    def _finish(self) -> None:
        for group in tuple(self._groups.values()):
            self._submit(group)

    # --- one request ---

    async def _send(self, group: _Group) -> None:
        entries = group.entries
        async with self._slots:
            if self._stopped is not None:
                self._emit_all(entries, SendOutcome.NOT_SENT, self._stopped)
                return
            try:
                entries = await self._intend(entries)
            except JournalUnavailableError as error:
                self._emit_all(entries, SendOutcome.NOT_SENT, error)
                return
            if entries:
                await self._deliver(group, entries)

    async def _deliver(self, group: _Group, entries: list[_Entry]) -> None:
        """Send what nothing is known of yet, and settle what became of it."""
        await self._pace.wait(group.parts * len(entries))
        try:
            receipt = await self._attempt(group.message, [entry.recipient for entry in entries])
        except LocalProtocolError as error:
            if len(entries) == 1:
                await self._settle(entries, SendOutcome.REFUSED, error)
            else:  # nothing was sent: which of them is to blame shows one by one
                for entry in entries:
                    await self._deliver(group, [entry])
        except (AuthenticationError, NotEnoughCreditsError) as error:
            self._stopped = error
            await self._settle(entries, SendOutcome.NOT_SENT, error)
        except GatewayRefusedError as error:
            await self._settle(entries, SendOutcome.REFUSED, error)
        except NotSentError as error:
            await self._settle(entries, SendOutcome.NOT_SENT, error)
        except OutcomeUnknownError as error:
            await self._settle(entries, SendOutcome.UNKNOWN, error)
        else:
            await self._settle_receipt(entries, receipt)

    async def _attempt(self, message: Message, recipients: list[Recipient]) -> SendReceipt:
        """Send; try again, more and more slowly, while the gateway cannot be reached."""
        for left in range(self._settings.attempts - 1, -1, -1):
            await self._backoff.wait()
            try:
                receipt = await self._client.send(message, recipients)
            except NotSentError:
                self._backoff.failed()
                if not left:
                    raise
            else:
                self._backoff.succeeded()
                return receipt
        raise AssertionError  # the last attempt returns or raises

    async def _settle_receipt(self, entries: list[_Entry], receipt: SendReceipt) -> None:
        if receipt.accepted >= len(entries):
            await self._settle(entries, SendOutcome.SENT, None)
            return
        error = OutcomeUnknownError(
            f"the gateway accepted {receipt.accepted} of {len(entries)}, and does not say which",
            message_ids=tuple(itertools.chain(*(entry.message_ids for entry in entries))),
        )
        await self._settle(entries, SendOutcome.UNKNOWN, error)

    # --- what is known ---

    async def _intend(self, entries: list[_Entry]) -> list[_Entry]:
        """Write the intents down, and report at once the items that are not to be sent."""
        if self._job is None:
            return entries
        intents = {entry.key: entry.message_ids for entry in entries}
        known = await self._job.intend(intents, again=_AGAIN[self._settings.guarantee])
        fresh: list[_Entry] = []
        for entry in entries:
            record = known.get(entry.key)
            if record is None and intents.pop(entry.key, ()):
                fresh.append(entry)
            else:
                self._emit_known(entry, record)
        return fresh

    def _emit_known(self, entry: _Entry, record: Record | None) -> None:
        if record is None or record.own:
            error = LocalProtocolError(f"{entry.key!r} stands for another item, too", field="key")
            self._emit(entry.item, SendOutcome.REFUSED, error=error)
            return
        reason = record.reason
        if record.outcome is None:
            reason = "an earlier run ended before the outcome was known"
        self._pipeline.emit(
            SendResult(
                entry.item,
                record.outcome or SendOutcome.UNKNOWN,
                record.message_ids,
                reason=reason,
                resumed=True,
            )
        )

    async def _settle(
        self, entries: list[_Entry], outcome: SendOutcome, error: InfobipError | None
    ) -> None:
        """Write an outcome down, then report it."""
        if self._job is not None:
            reason = None if error is None else str(error)
            try:
                await self._job.settle([entry.key for entry in entries], outcome, reason)
            except JournalUnavailableError as fault:
                error = error or fault
        self._emit_all(entries, outcome, error)

    def _emit_all(
        self, entries: list[_Entry], outcome: SendOutcome, error: InfobipError | None
    ) -> None:
        may_have_left = outcome in {SendOutcome.SENT, SendOutcome.UNKNOWN}
        for entry in entries:
            ids = entry.message_ids if may_have_left else ()
            self._emit(entry.item, outcome, ids, error=error)

    def _emit(
        self,
        item: Outgoing,
        outcome: SendOutcome,
        message_ids: tuple[str, ...] = (),
        *,
        error: InfobipError | None,
    ) -> None:
        reason = None if error is None else str(error)
        self._pipeline.emit(SendResult(item, outcome, message_ids, error, reason))
