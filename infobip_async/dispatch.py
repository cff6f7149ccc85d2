"""What becomes of a push: it is handled as it comes, or kept in a journal first.

Without a journal the gateway is answered when the handlers are done. It is the gateway itself
that keeps a push meanwhile, since it sends again what was not answered with 200 (§3.1).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Final

import attrs

from infobip_async.errors import JournalUnavailableError, RemoteProtocolError
from infobip_async.journal.seam import Journal
from infobip_async.logs import logger_of_faults
from infobip_async.models import Event, UnreadableRow
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import PushFormat, decode, unreadable
from infobip_async.router import Router, usual_judge

_logger = logger_of_faults("infobip_async.webhook")

# Bigger bodies are decoded in a thread: 2 MiB can hold rows for more than a second of work.
_BIG: Final = 64 * 1024


@attrs.define
class Dispatch:
    """Decodes and dispatches pushes, and logs what goes wrong without what they hold.

    Attributes:
        router: where the events go.
        settings: how the pushes are to be read.
        expiry_seconds: the time between looks for incomplete messages to be handed on.
    """

    router: Router
    settings: PushFormat
    expiry_seconds: float = 10.0
    _warned: set[type[Event]] = attrs.field(init=False, factory=set, repr=False)

    async def take(self, push: RawPush) -> HTTPStatus:
        """Handle a push.

        Returns:
            200 after all handlers succeeded, 500 when anything failed; 400 where the push as a
            whole, or each of its rows, cannot be read.
        """
        try:
            events = await self._decode(push)
            types = set(map(type, events))
            for kind in types:
                if not self.router.handles(kind):
                    self._log_unhandled(kind, events)
            await self.router.dispatch(events, now=monotonic(), judge=_judge)
        except RemoteProtocolError as fault:
            _logger.warning("refused a post to %s: %s", push.kind.value, fault)
            await self._set_aside(unreadable(push, str(fault)))
            return HTTPStatus.BAD_REQUEST
        except Exception:
            _logger.exception("failed on a post to %s", push.kind.value)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return HTTPStatus.BAD_REQUEST if types == {UnreadableRow} else HTTPStatus.OK

    async def _decode(self, push: RawPush) -> Sequence[Event]:
        if len(push.body) > _BIG:
            return await asyncio.to_thread(decode, push, self.settings)
        return decode(push, self.settings)

    async def _set_aside(self, row: UnreadableRow) -> None:
        """Give what cannot be read as a whole to the handlers of rows like that."""
        try:
            await self.router.dispatch([row], judge=_judge)
        except Exception:
            _logger.exception("handlers failed on what cannot be read")

    def _log_unhandled(self, kind: type[Event], events: Sequence[Event]) -> None:
        if kind is UnreadableRow:
            self._log_rows([event for event in events if isinstance(event, UnreadableRow)])
        elif kind not in self._warned:
            self._warned.add(kind)
            _logger.warning("%s is acknowledged without a handler", kind.__name__)

    @staticmethod
    def _log_rows(rows: Sequence[UnreadableRow]) -> None:
        _logger.warning("set %d unreadable rows aside, the first: %s", len(rows), rows[0].reason)
        for row in rows:
            _logger.debug("unreadable row, %s: %r", row.reason, row.raw)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Hand on, from time to time, messages whose parts do not come in time."""
        expiry = asyncio.create_task(self._expire_again_and_again())
        try:
            yield
        finally:
            expiry.cancel()

    async def _expire_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self.expiry_seconds)
            await self._expire(monotonic())

    async def finish(self, seconds: float) -> None:
        """Hand on all parts that wait: they were acknowledged, and nothing else keeps them.

        Args:
            seconds: what their handlers may take.
        """
        await self._expire(math.inf, seconds)

    async def _expire(self, now: float, seconds: float | None = None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.router.expire(now)
        except Exception:
            _logger.exception("handlers failed on incomplete messages")


def _judge(raised: BaseException) -> Exception:
    """Take a cancellation that nobody asked this task for as the handler's fault, too."""
    if isinstance(raised, asyncio.CancelledError):
        task = asyncio.current_task()
        if task and not task.cancelling():
            return RuntimeError("a handler was cancelled by something of its own")
    return usual_judge(raised)


@attrs.define
class Keep:
    """Has a journal keep pushes, and handle them after they were acknowledged.

    Attributes:
        journal: keeps them.
        router: where the events go.
        settings: how the pushes are to be read.
    """

    journal: Journal
    router: Router
    settings: PushFormat

    async def take(self, push: RawPush) -> HTTPStatus:
        """Keep a push.

        Returns:
            200 when it is durable, 503 where the journal cannot keep it now.
        """
        try:
            await self.journal.put(push)
        except JournalUnavailableError as fault:
            _logger.error("refused a post to %s: %s", push.kind.value, fault)  # noqa: TRY400 - no trace of ours
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception:
            _logger.exception("failed on a post to %s", push.kind.value)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return HTTPStatus.OK

    def serve(self) -> AbstractAsyncContextManager[None]:
        """Handle what the journal keeps."""
        return self.journal.serve(self.router, partial(decode, settings=self.settings))

    async def finish(self, seconds: float) -> None:
        """Nothing: what waits is in the journal."""
