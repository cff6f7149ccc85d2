"""The engine of `InfobipClient.send_many`."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import nullcontext, suppress
from typing import Protocol

import attrs

from infobip_async.bulk.groups import Entry, Group, Groups, Key, Names
from infobip_async.bulk.items import Outgoing, SendOutcome, SendResult
from infobip_async.bulk.job import Job, Record
from infobip_async.bulk.settings import BulkSettings
from infobip_async.concurrency.rate import Backoff, RateLimiter
from infobip_async.concurrency.window import Window
from infobip_async.errors import (
    AuthenticationError,
    GatewayRefusedError,
    InfobipError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
)
from infobip_async.models import Message, Recipient, SendReceipt

Given = Outgoing | tuple[Message, str | Recipient]
"""An item as it can be given."""

Source = Iterable[Given] | AsyncIterable[Given]
"""Any source of items, of any length."""


class BulkClient(Names, Protocol):
    """What sends the requests: `InfobipClient`, or something in its place."""

    async def send(self, message: Message, recipients: Sequence[Recipient], /) -> SendReceipt:
        """Send one message to several recipients."""


@attrs.frozen
class _Verdict:
    """What came of a request.

    Attributes:
        outcome: of its items.
        error: behind it.
        answered: whether it is an answer of the gateway's, which a repetition would get again.
    """

    outcome: SendOutcome
    error: InfobipError | None = None
    answered: bool = False


class BulkSend:
    """One call of `InfobipClient.send_many`.

    Args:
        client: sends the requests.
        source: the items.
        settings: how to run.

    Raises:
        LocalProtocolError: a setting is out of its range.
    """

    def __init__(self, client: BulkClient, source: Source, settings: BulkSettings) -> None:
        settings.check()
        self._client = client
        self._settings = settings
        self._groups = Groups(client, settings, self._start)
        self._pipeline: Window[Given, SendResult] = Window(
            source,
            self._take,
            self._groups.close,
            window=settings.window,
            stop_timeout=settings.stop_timeout,
        )
        self._job = None if settings.job is None else Job(settings.job)
        self._positions = itertools.count()
        self._keys: set[Key] = set()
        self._slots = asyncio.Semaphore(settings.requests)
        self._pace = RateLimiter(settings.rate)
        self._backoff = Backoff()
        self._waits: set[asyncio.Timeout] = set()
        self._stopped: InfobipError | None = None

    async def results(self) -> AsyncGenerator[SendResult, None]:
        """Yield a result for each item."""
        async with self._job or nullcontext(), self._pipeline:
            watch = asyncio.create_task(self._watch())
            try:
                async for result in self._pipeline:
                    yield result
            finally:
                watch.cancel()
                self._stop(NotSentError("the run was left before its turn"))

    async def _watch(self) -> None:
        """Stop when the caller says so."""
        if self._settings.stop is not None:
            await self._settings.stop.wait()
            self._stop(NotSentError("the run was stopped before its turn"))
            self._pipeline.stop_reading()

    def _stop(self, error: InfobipError) -> None:
        """Send nothing more, and wait for no turn any longer."""
        if self._stopped is None:
            self._stopped = error
            for wait in self._waits:
                wait.reschedule(0)

    # --- from items to requests ---

    def _take(self, given: Given) -> None:
        item = given if isinstance(given, Outgoing) else _outgoing(given)
        position = next(self._positions)
        key = position if self._job is None or item.key is None else item.key
        try:
            if key in self._keys:
                raise _ambiguous(key)
            self._groups.add(item, key)
        except LocalProtocolError as error:
            self._pipeline.emit(SendResult(item, SendOutcome.REFUSED, (), error, str(error)))
        else:
            self._keys.add(key)

    def _start(self, group: Group) -> None:
        self._pipeline.start(self._send(group))

    async def _send(self, group: Group) -> None:
        """Send the items of a group that are not done."""
        async with self._slots:
            try:
                entries = await self._undone(group.entries)
                if entries:
                    await self._deliver(group.message, group.parts * len(entries), entries)
            except Exception as fault:
                self._stop(NotSentError(f"the run failed ({type(fault).__name__})"))
                raise

    async def _undone(self, entries: list[Entry]) -> list[Entry]:
        """Report the items that an earlier run is done with, and give the others."""
        if self._job is None:
            return entries
        known = await self._job.known([entry.key for entry in entries])
        undone: list[Entry] = []
        for entry in entries:
            record = known.get(entry.key)
            if record is None or not (record.own or self._is_done(record)):
                undone.append(entry)
            elif record.own or record.number != entry.recipient.msisdn:
                self._report([entry], _Verdict(SendOutcome.REFUSED, _ambiguous(entry.key)))
            else:
                self._report_known(entry, record)
        return undone

    def _is_done(self, record: Record) -> bool:
        in_doubt_once = record.in_doubt and self._settings.guarantee == "at_most_once"
        return record.answered or in_doubt_once

    # --- one request ---

    async def _deliver(self, message: Message, parts: int, entries: list[Entry]) -> None:
        """Send items in one request, once the gateway can be reached, and report the outcome."""
        for _ in range(self._settings.attempts):
            if (stopped := await self._turn(parts)) is not None:
                verdict = _Verdict(SendOutcome.NOT_SENT, stopped)
                break
            if self._job is not None:
                await self._job.intend(entries)
            verdict = await self._attempt(message, entries)
            if isinstance(verdict.error, LocalProtocolError) and len(entries) > 1:
                for entry in entries:  # nothing was sent: who is to blame shows one by one
                    await self._deliver(message, 0, [entry])
                return
            await self._settle(entries, verdict)
            if not isinstance(verdict.error, NotSentError):
                break
        self._report(entries, verdict)

    async def _turn(self, parts: int) -> InfobipError | None:
        """Wait until so many parts may be sent, or give what has stopped the run."""
        if self._stopped is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as wait:
                    self._waits.add(wait)
                    try:
                        await self._backoff.wait()
                        await self._pace.wait(parts)
                    finally:
                        self._waits.discard(wait)
        return self._stopped

    async def _attempt(self, message: Message, entries: list[Entry]) -> _Verdict:
        try:
            receipt = await self._client.send(message, [entry.recipient for entry in entries])
        except InfobipError as error:
            verdict = _verdict_on(error)
            if isinstance(error, NotSentError) and error.final:
                self._stop(error)
            elif isinstance(error, NotSentError) or verdict.outcome is SendOutcome.UNKNOWN:
                self._backoff.failed()
            elif verdict.outcome is SendOutcome.NOT_SENT:
                self._stop(error)
            return verdict
        self._backoff.succeeded()
        if receipt.accepted >= len(entries):
            return _Verdict(SendOutcome.SENT, answered=True)
        few = f"the gateway accepted {receipt.accepted} of {len(entries)}, and does not say which"
        ids = itertools.chain.from_iterable(entry.message_ids for entry in entries)
        doubt = OutcomeUnknownError(few, message_ids=tuple(ids))
        return _Verdict(SendOutcome.UNKNOWN, doubt, answered=True)

    # --- outcomes ---

    async def _settle(self, entries: list[Entry], verdict: _Verdict) -> None:
        """Write an outcome down."""
        if self._job is not None:
            reason = None if verdict.error is None else str(verdict.error)
            keys = [entry.key for entry in entries]
            await self._job.settle(keys, verdict.outcome, reason, answered=verdict.answered)

    def _report(self, entries: list[Entry], verdict: _Verdict) -> None:
        outcome, error = verdict.outcome, verdict.error
        reason = None if error is None else str(error)
        for entry in entries:
            ids = entry.message_ids if _may_have_left(outcome) else ()
            self._keys.discard(entry.key)
            self._pipeline.emit(SendResult(entry.item, outcome, ids, error, reason))

    def _report_known(self, entry: Entry, record: Record) -> None:
        outcome, reason = record.outcome, record.reason
        if outcome is None:
            outcome = SendOutcome.UNKNOWN
            reason = "an earlier run ended before the outcome was known"
        ids = record.message_ids if _may_have_left(outcome) else ()
        self._keys.discard(entry.key)
        self._pipeline.emit(SendResult(entry.item, outcome, ids, None, reason, resumed=True))


def _outgoing(pair: object) -> Outgoing:
    if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004 - a pair
        kind = type(pair).__name__
        raise LocalProtocolError(f"a {kind} is no Outgoing, nor a pair", field="source")
    return Outgoing(*pair)


def _verdict_on(error: InfobipError) -> _Verdict:
    match error:
        case AuthenticationError() | NotEnoughCreditsError() | NotSentError():
            return _Verdict(SendOutcome.NOT_SENT, error)
        case GatewayRefusedError():
            return _Verdict(SendOutcome.REFUSED, error, answered=True)
        case LocalProtocolError():
            return _Verdict(SendOutcome.REFUSED, error)
        case _:
            return _Verdict(SendOutcome.UNKNOWN, error)


def _may_have_left(outcome: SendOutcome) -> bool:
    return outcome in {SendOutcome.SENT, SendOutcome.UNKNOWN}


def _ambiguous(key: Key) -> LocalProtocolError:
    return LocalProtocolError(f"{key!r} stands for another item", field="key")
