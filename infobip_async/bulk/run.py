"""The engine of `InfobipClient.send_many`: from items to requests, and from replies to outcomes."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterable, Container, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

import attrs

from infobip_async.bulk.exclusion import excluded
from infobip_async.bulk.groups import Entry, Group, Groups, Key, MessageIds
from infobip_async.bulk.items import Asks, Exclude, Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import Record, SendJob, SendRecord, number_of
from infobip_async.concurrency.rate import RateLimiter
from infobip_async.concurrency.tasks import TaskSet
from infobip_async.concurrency.window import Window, in_chunks
from infobip_async.errors import (
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    NotSentError,
    OutcomeUnknownError,
    StorageUnavailableError,
)
from infobip_async.models.messages import Message, Recipient
from infobip_async.models.receipts import SendReceipt
from infobip_async.protocol.send_xml import MAX_RECIPIENTS
from infobip_async.runs.flow_control import ClosedError, FlowControl
from infobip_async.runs.outcomes import NOT_MADE, concerns_account, outcome_of
from infobip_async.runs.screening import Screening, check_source
from infobip_async.runs.settings import RunSettings

Given = Outgoing | tuple[Message, str | Recipient]
"""An item as it can be given."""

Source = Iterable[Given] | AsyncIterable[Given]
"""Any source of items, of any length."""

_MAY_HAVE_LEFT: Final = {SendOutcome.SENT, SendOutcome.UNKNOWN}

_CHUNK: Final = 1_000
"""Items that are compared with a job at once."""


class SendClient(MessageIds, Protocol):
    """What sends the requests: `InfobipClient`, or something in its place."""

    @property
    def username(self) -> str:
        """Of the account."""

    async def send(self, message: Message, recipients: Sequence[Recipient], /) -> SendReceipt:
        """Send one message to several recipients."""

    async def credits(self) -> Decimal:
        """The balance of the account."""


@attrs.frozen
class Verdict:
    """What came of a request.

    Attributes:
        outcome: of its items.
        error: the error behind the outcome.
        answered: whether it is an answer of the gateway's, which a repetition would get again.
    """

    outcome: SendOutcome
    error: InfobipError | None = None
    answered: bool = False


class BulkSend:
    """One call of `InfobipClient.send_many`.

    Items go from the window through the screening (what the job knows, exclusion), into groups
    that share a request, and out by the run's flow control.

    Args:
        client: sends the requests.
        source: the items.
        settings: how to run; `RunSettings.most` counts parts.
        exclude: numbers that nothing is sent to.
        job: remembers intents and outcomes: a file, or something in its place; None for nothing.

    Raises:
        LocalProtocolError: a setting is out of its range.
    """

    def __init__(
        self,
        client: SendClient,
        source: Source,
        settings: RunSettings,
        exclude: Exclude | None = None,
        job: str | Path | SendRecord | None = None,
    ) -> None:
        settings.check(largest_batch=MAX_RECIPIENTS, most="max_parts")
        self._client = client
        self._settings = settings
        self._excluded = excluded(exclude) if isinstance(exclude, Container) else None
        self.window: Window[Given, SendResult] = Window(
            source, self._take, self._finish, size=settings.window
        )
        limiter = RateLimiter(settings.rate)
        ask_balance = None if settings.min_credits is None else client.credits
        self.flow: FlowControl = FlowControl(
            settings, limiter, ask_balance, self.window.stop_reading
        )
        self.outcomes: Counter[str] = Counter()
        self._groups = Groups(
            client,
            self._start,
            batch_size=settings.batch_size,
            batch_age=settings.batch_age,
            # Where nothing limits parts, counting them would cost a second look at each text.
            most_parts=limiter.largest or (MAX_RECIPIENTS if self.flow.budget.limited else None),
        )
        self._job = SendJob(job, client.username) if isinstance(job, str | Path) else job
        self._asks = None if isinstance(exclude, Container) else exclude
        self._screening: Screening[tuple[Key, Outgoing], Record] | None = None
        if self._job is not None or self._asks is not None:  # each item is waited for
            self._screening = Screening(self, self._job)
        self._requests = TaskSet(self._ended)
        self._positions = itertools.count()
        self._rows = 0
        self._fault: BaseException | None = None

    async def open(self) -> None:
        """Open the job."""
        if self._job is not None:
            await self._job.__aenter__()

    async def check(self) -> None:
        """Compare the source with the job; see `Run.check`."""
        if self._job is not None:
            chunks = in_chunks(self.window.source, _CHUNK)
            keyed = (list(map(self._keyed, chunk)) async for chunk in chunks)
            await check_source(self._job, keyed, lambda: self._rows)

    async def close(self) -> None:
        """Read and send nothing more, and leave no request behind."""
        self.flow.stop("the run was left before its turn")
        try:
            await self.window.reader_ended()
            if self._screening is not None:
                await self._screening.aclose(self._settings.stop_timeout)
            await self._requests.drain(self._settings.stop_timeout)
        finally:
            self._groups.close()  # its timers, too
            await self._requests.cancel()
            if self._job is not None:
                await self._job.__aexit__()

    async def stop(self) -> None:
        """Read and send nothing more, and wait for the requests in flight."""
        self.flow.stop("the run was stopped before its turn")
        await self.window.reader_ended()
        await self._requests.drain(self._settings.stop_timeout)

    # --- from items to groups ---

    def _keyed(self, given: Given) -> tuple[Key, Outgoing]:
        """An item with its key: one of the caller's, or the position in the source."""
        item = given if isinstance(given, Outgoing) else _outgoing(given)
        position = next(self._positions)
        if self._job is not None and item.key is not None:
            return item.key, item
        self._rows = position + 1
        return position, item

    def _take(self, items: Sequence[Given]) -> None:
        keyed = map(self._keyed, items)
        if self._screening is not None:
            self._screening.add(list(keyed))
        else:
            for key, item in keyed:
                self._admit(key, item)

    def _finish(self) -> None:
        if self._screening is not None:
            self._screening.end(self._rows)
        else:
            self.finish()

    def finish(self) -> None:
        """Send the items that wait for others to share a request, since no item comes any more."""
        self._groups.close()

    async def take(self, keyed: tuple[Key, Outgoing], record: Record | None) -> None:
        """Send an item, unless the job knows what became of it, or its number is excluded."""
        key, item = keyed
        if record is not None and self._is_settled(key, item, record):
            return
        if self._asks is not None and await self._is_excluded(self._asks, number_of(item)):
            self._emit(SendResult(item, SendOutcome.EXCLUDED))
        else:
            self._admit(key, item)

    async def _is_excluded(self, asks: Asks, number: str | None) -> bool:
        """Ask the caller about a number. The end of the run cuts that short, as the source."""
        if number:
            with suppress(ClosedError):
                async with self.flow.unless_closed():
                    return await asks(number)
        return False

    def _is_settled(self, key: Key, item: Outgoing, record: Record) -> bool:
        """Whether an item needs nothing more, since the job knows what became of it."""
        if record.own:
            self._refuse(
                item, LocalProtocolError("stands for another item", field="key", value=key)
            )
        elif record.answered or (record.in_doubt and self._settings.on_unknown == "report"):
            self._emit(_known(item, record))
        else:
            return False
        return True

    def leave_out(self, keyed: tuple[Key, Outgoing], why: InfobipError) -> None:
        """Report an item that is not sent, since the source is not the job's."""
        self._emit(SendResult(keyed[1], SendOutcome.NOT_SENT, (), why, str(why)))

    def _admit(self, key: Key, item: Outgoing) -> None:
        """Put an item into the group of its message, unless its number is excluded."""
        exclude = self._excluded
        if exclude is not None and (number := number_of(item)) and number in exclude:
            self._emit(SendResult(item, SendOutcome.EXCLUDED))
            return
        try:
            self._groups.add(item, key)
        except LocalProtocolError as error:
            self._refuse(item, error)

    # --- from groups to requests ---

    def _start(self, group: Group) -> None:
        self._requests.start(self._send(group.message, group.parts, group.entries))

    def _ended(self, task: asyncio.Task[None]) -> None:
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if fault is not None:  # its items have no outcome
            self.fail(fault)
        elif self._fault is not None and not self._requests:
            self.window.fail(self._fault)

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome; requests in flight still get theirs."""
        self._fault = self._fault or fault
        self.flow.stop(f"the run failed ({type(fault).__name__})")
        if not self._requests:
            self.window.fail(self._fault)

    async def _send(self, message: Message, parts: int, entries: list[Entry]) -> None:
        """Send items, in one request where the flow control lets all of them out at once."""
        while entries:
            try:
                count = await self.flow.enter(len(entries), parts)
            except ClosedError as closed:
                self._report(entries, Verdict(SendOutcome.NOT_SENT, closed.fault))
                return
            going = entries[:count]
            verdict = await self._request(message, parts, going)
            if isinstance(verdict.error, LocalProtocolError) and count > 1:
                await self._send_singly(message, parts, going)
            else:
                await self._record(going, verdict)
                if isinstance(verdict.error, NotSentError) and not self.flow.closed:
                    continue  # the items go out again, once the gateway can be reached
                self._report(going, verdict)
            entries = entries[count:]

    async def _send_singly(self, message: Message, parts: int, entries: list[Entry]) -> None:
        """Find out by one request each which item broke a rule: nothing was sent of them."""
        for entry in entries:
            await self._send(message, parts, [entry])

    async def _request(self, message: Message, parts: int, entries: list[Entry]) -> Verdict:
        """Make one request that the flow control has let out."""
        fault: Exception | None = NOT_MADE
        try:
            receipt = await self._submit(message, entries)
            fault = None
        except Exception as error:
            if not isinstance(error, InfobipError) or isinstance(error, StorageUnavailableError):
                self.fail(error)  # before `leave` lets the next request out
                raise
            fault = error
            return verdict_on(error)
        finally:
            self.flow.leave(fault, parts * len(entries))
        if receipt.credits is not None:
            self.flow.learn_balance(receipt.credits)
        ids = itertools.chain.from_iterable(entry.message_ids for entry in entries)
        return verdict_of(receipt.accepted, len(entries), ids)

    async def _submit(self, message: Message, entries: list[Entry]) -> SendReceipt:
        """Send, once the job knows of the intent."""
        recipients = [entry.recipient for entry in entries]
        if self._job is None:
            return await self._client.send(message, recipients)
        with self._job.watching(len(entries)):
            await self._job.intend(entries)
            return await self._client.send(message, recipients)

    # --- outcomes ---

    async def _record(self, entries: list[Entry], verdict: Verdict) -> None:
        """Write an outcome down."""
        if self._job is not None:
            reason = None if verdict.error is None else str(verdict.error)
            keys = [entry.key for entry in entries]
            await self._job.record(keys, verdict.outcome, reason, answered=verdict.answered)

    def _report(self, entries: list[Entry], verdict: Verdict) -> None:
        outcome, error = verdict.outcome, verdict.error
        reason = None if error is None else str(error)
        for entry in entries:
            ids = entry.message_ids if outcome in _MAY_HAVE_LEFT else ()
            self._emit(SendResult(entry.item, outcome, ids, error, reason))

    def _refuse(self, item: Outgoing, error: LocalProtocolError) -> None:
        """Report an item that breaks a rule."""
        self._emit(SendResult(item, SendOutcome.REFUSED, (), error, str(error)))

    def _emit(self, result: SendResult) -> None:
        self.outcomes[result.outcome.value] += 1
        self.window.emit(result)


def _outgoing(pair: object) -> Outgoing:
    if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 - a pair
        kind = type(pair).__name__
        raise LocalProtocolError(f"a {kind} is no Outgoing, nor a pair", field="source")
    return Outgoing(*pair)


def verdict_of(accepted: int, sent: int, message_ids: Iterable[str]) -> Verdict:
    """Read what a reply says of a request."""
    if accepted >= sent:
        return Verdict(SendOutcome.SENT, answered=True)
    few = f"the gateway accepted {accepted} of {sent}, and does not say which"
    doubt = OutcomeUnknownError(few, message_ids=tuple(message_ids))
    return Verdict(SendOutcome.UNKNOWN, doubt, answered=True)


def verdict_on(error: InfobipError) -> Verdict:
    """Read what the failure of a request says of it."""
    answered = isinstance(error, GatewayRefusedError) and not concerns_account(error)
    return Verdict(SendOutcome[outcome_of(error)], error, answered)


def _known(item: Outgoing, record: Record) -> SendResult:
    """The result of an item that does not go out again."""
    outcome, reason = record.outcome, record.reason
    if outcome is None:
        outcome = SendOutcome.UNKNOWN
        reason = "an earlier run ended before the outcome was known"
    ids = record.message_ids if outcome in _MAY_HAVE_LEFT else ()
    return SendResult(item, outcome, ids, None, reason, resumed=True)
