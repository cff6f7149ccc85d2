"""When a push is acknowledged: after its handlers succeeded, or once it is in a journal.

Without a journal the gateway is answered when the handlers have ended. Until then only the gateway
has the push: it sends again what was not answered with 200 (§3.1).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Final

import attrs

from infobip_async.concurrency.big_work import aside
from infobip_async.concurrency.tasks import LastingTasks, abandon, is_cancelled_from_outside
from infobip_async.errors import RemoteProtocolError, StorageUnavailableError
from infobip_async.journal.base import Journal
from infobip_async.models.events import Event, InboundSms, UnreadableRow
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import PushFormat, decode, unreadable
from infobip_async.receiver.parts_in_memory import PartsInMemory, faults_of
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router
from infobip_async.text.reassembly import is_part

_logger = logger_of_faults("infobip_async.receiver")

_OK: Final = HTTPStatus.OK  # which takes Python 3.11 a call to look up
_SECONDS_AFTER_A_CANCELLATION: Final = 1.0


def _refuse(lines: SparseLogger, push: RawPush, fault: Exception) -> HTTPStatus:
    """Say in a line, without a trace of ours, what cannot be used now."""
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    lines.error("refused a push to %s: %s", push.kind.value, fault)
    return HTTPStatus.SERVICE_UNAVAILABLE


@attrs.define
class HandleThenAck:
    """Decodes and dispatches pushes, and logs what goes wrong without what the pushes hold.

    Attributes:
        router: where the events go.
        settings: how pushes are read.
        expiry_seconds: seconds between two looks for messages whose parts are late.
    """

    router: Router
    settings: PushFormat
    expiry_seconds: float = 10.0
    _parts: PartsInMemory = attrs.field(init=False, repr=False)
    _sparse_logger: SparseLogger = attrs.field(
        init=False, factory=lambda: SparseLogger(_logger), repr=False
    )
    _warned: set[type[Event]] = attrs.field(init=False, factory=set, repr=False)

    def __attrs_post_init__(self) -> None:
        self._parts = PartsInMemory(self.router)

    async def take(self, push: RawPush) -> HTTPStatus:
        """Handle a push.

        Returns:
            200 after all handlers succeeded, 500 if one failed, 503 if all that failed is a file
            or a broker; 400 if the push as a whole, or each of its rows, cannot be read.
        """
        return await self._take(push, self._dispatch)

    async def take_again(self, push: RawPush) -> HTTPStatus:
        """Handle a push of which a handler has cancelled the task in which it ran.

        Each event is handled in a task of its own: the others of the push go on. Those that were
        handled before are handled once more, as when the gateway repeats the push.
        """
        return await self._take(push, self._dispatch_apart)

    async def _take(
        self, push: RawPush, dispatch: Callable[[Sequence[Event]], Awaitable[None]]
    ) -> HTTPStatus:
        try:
            events = await aside(len(push.body), decode, push, self.settings)
            types = set(map(type, events))
            if UnreadableRow in types:
                rows = sum(isinstance(event, UnreadableRow) for event in events)
                self.router.watch.unreadable(rows, push.kind.value)
            for kind in types:
                if not self.router.handles(kind):
                    self._log_unhandled(kind, events)
            await dispatch(events)
        except RemoteProtocolError as fault:
            await self._set_aside(push, str(fault))
            return HTTPStatus.BAD_REQUEST
        except ExceptionGroup as faults:
            return self._failed(push, faults)
        except Exception as fault:
            # A push that trips our own code up does so each time that it comes.
            self._sparse_logger.exception("tripped over a push to %s", push.kind.value)
            await self._set_aside(push, f"{type(fault).__name__} while it was read")
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.BAD_REQUEST if types == {UnreadableRow} else _OK

    def _failed(self, push: RawPush, faults: ExceptionGroup[Exception]) -> HTTPStatus:
        """Log what handlers raised: a disk that is full is no fault of a program."""
        away, others = faults.split(StorageUnavailableError)
        if away is not None and others is None:
            return _refuse(self._sparse_logger, push, away)
        self._sparse_logger.error("failed on a push to %s", push.kind.value, exc_info=faults)
        return HTTPStatus.INTERNAL_SERVER_ERROR

    async def _dispatch(self, events: Sequence[Event]) -> None:
        joins = self.router.joins
        messages = [event for event in events if isinstance(event, InboundSms)] if joins else []
        if not messages:
            await self.router.dispatch(events)
            return
        now = monotonic()
        await self._expire(now)
        faults = [*await faults_of(self.router.dispatch(events))]
        for part in filter(is_part, messages):
            faults += await self._parts.add(part, now)
        if faults:
            raise ExceptionGroup("handlers failed", faults)

    async def _dispatch_apart(self, events: Sequence[Event]) -> None:
        faults: list[Exception] = []
        for event in events:
            try:
                faults += await asyncio.create_task(faults_of(self._dispatch([event])))
            except asyncio.CancelledError as raised:
                if is_cancelled_from_outside(raised):
                    raise
                faults.append(RuntimeError("a handler has cancelled the task in which it runs"))
        if faults:
            raise ExceptionGroup("handlers failed", faults)

    async def _set_aside(self, push: RawPush, reason: str) -> None:
        """Give a push that cannot be read as a whole to the handlers of unreadable rows."""
        self._sparse_logger.warning("refused a push to %s: %s", push.kind.value, reason)
        self.router.watch.unreadable(1, push.kind.value)
        try:
            await self.router.dispatch([await aside(len(push.body), unreadable, push, reason)])
        except Exception:
            self._sparse_logger.exception("handlers failed on an unreadable push")

    def _log_unhandled(self, kind: type[Event], events: Sequence[Event]) -> None:
        if kind is UnreadableRow:
            self._log_rows([event for event in events if isinstance(event, UnreadableRow)])
        elif kind not in self._warned:
            self._warned.add(kind)
            _logger.warning("%s is acknowledged without a handler", kind.__name__)

    def _log_rows(self, rows: Sequence[UnreadableRow]) -> None:
        text = "set %d unreadable rows aside, the first: %s"
        self._sparse_logger.warning(text, len(rows), rows[0].reason)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Hand on, from time to time, messages whose parts are late."""
        expiry = LastingTasks("receiver", _logger)
        expiry.start(self._expire_repeatedly)
        try:
            yield
        finally:
            expiry.ending = True
            await abandon(expiry.tasks, _SECONDS_AFTER_A_CANCELLATION)

    async def _expire_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(self.expiry_seconds)
            await self._expire(monotonic())

    async def finish(self, seconds: float) -> None:
        """Hand on all parts that wait: they were acknowledged, and nothing else has them.

        Args:
            seconds: how long their handlers may take.
        """
        # In a task of its own: a handler may cancel that, or not let itself be cancelled.
        last = asyncio.create_task(self._expire(math.inf))
        try:
            if not (await asyncio.wait([last], timeout=seconds))[0]:
                _logger.warning("handlers of incomplete messages are cancelled")
        finally:
            await abandon([last], _SECONDS_AFTER_A_CANCELLATION)

    async def _expire(self, now: float) -> None:
        try:
            await self._parts.expire(now)
        except Exception:
            self._sparse_logger.exception("handlers failed on incomplete messages")


@attrs.define
class StoreThenAck:
    """Has a journal store pushes, and hand them to a router after they were acknowledged."""

    journal: Journal
    router: Router
    settings: PushFormat
    _sparse_logger: SparseLogger = attrs.field(
        init=False, factory=lambda: SparseLogger(_logger), repr=False
    )

    async def take(self, push: RawPush) -> HTTPStatus:
        """Store a push.

        Returns:
            200 when the push is durable, 503 if the journal cannot store it now.
        """
        try:
            await self.journal.put(push)
        except StorageUnavailableError as fault:
            return _refuse(self._sparse_logger, push, fault)
        except Exception:
            self._sparse_logger.exception("failed on a push to %s", push.kind.value)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return _OK

    async def take_again(self, push: RawPush) -> HTTPStatus:
        """Store a push whose task was cancelled; the journal may have its rows already."""
        return await self.take(push)

    def serve(self) -> AbstractAsyncContextManager[None]:
        """Hand on what the journal stores."""
        return self.journal.serve(self.router, partial(decode, settings=self.settings))

    async def finish(self, seconds: float) -> None:
        """Do nothing: pushes that wait are in the journal."""
