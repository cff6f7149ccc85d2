"""The receiver without its server: what an aiohttp and an ASGI application have in common."""

import asyncio
import logging
from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import tzinfo
from http import HTTPStatus
from time import time
from typing import Final

import attrs

from infobip_async.journal.base import Journal
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES, template
from infobip_async.protocol.message_ids import id_keys
from infobip_async.protocol.push import PushFormat
from infobip_async.receiver.acknowledge import HandleThenAck, StoreThenAck
from infobip_async.receiver.admission import Admission, Limits, RefusedError
from infobip_async.receiver.urls import check_secrets, log_replacements
from infobip_async.redaction import LogMask
from infobip_async.router import Router

_logger = logging.getLogger("infobip_async.receiver")

DEFAULT_LIMITS: Final = Limits()


@attrs.define
class Receiver:
    """Takes pushes that a server hands to it, and has them handled or stored.

    Attributes:
        admission: decides which requests are pushes.
        mask: keeps secrets and queries out of the loggers that the server guards with it.
    """

    admission: Admission
    mask: LogMask = attrs.field(repr=False)
    _acknowledgement: HandleThenAck | StoreThenAck
    _read_seconds: float
    _stop_timeout: float
    # No `TaskSet`: the callback of each task would cost each push a microsecond.
    _running: dict[asyncio.Future[HTTPStatus], asyncio.Task[None]] = attrs.field(
        init=False, factory=dict
    )
    _stopping: bool = attrs.field(init=False, default=False)

    async def read(self, chunks: AsyncIterable[bytes]) -> bytes:
        """Read a body under our own limits: the server has others, or none.

        Raises:
            RefusedError: 408 or 413.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self._read_seconds):
                async for chunk in chunks:
                    body += chunk
                    self.admission.check_size(len(body))
        except TimeoutError:
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT) from None
        return bytes(body)

    async def take(self, kind: PushKind, query: str, body: bytes) -> HTTPStatus:
        """Have a push handled or stored, in a task that outlives a client which goes away.

        Returns:
            The status to answer.

        Raises:
            RefusedError: 413, or 503 during a stop.
        """
        if self._stopping:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE)
        push = self.admission.push(kind, query, body, time())
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[HTTPStatus] = loop.create_future()
        self._running[answer] = loop.create_task(self._acknowledge(push, answer))
        return await answer

    async def _acknowledge(self, push: RawPush, answer: asyncio.Future[HTTPStatus]) -> None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        try:
            status = await self._acknowledgement.take(push)
        except asyncio.CancelledError:  # by `stop`, or a handler has cancelled its own task
            _logger.warning("handlers were cancelled on a push to %s", push.kind.value)
            raise
        finally:
            del self._running[answer]
            if not answer.done():  # else the client has gone away
                answer.set_result(status)

    @staticmethod
    def log(refusal: RefusedError) -> None:
        """Log a refusal, but no stranger's: strangers write no log."""
        if not refusal.from_stranger:
            status = refusal.status
            _logger.warning("refused a request: %d %s", status.value, status.phrase)

    def serving(self) -> AbstractAsyncContextManager[None]:
        """Have stored pushes handled, and late parts handed on, until the context is left."""
        return self._acknowledgement.serve()

    async def stop(self) -> None:
        """Take no more pushes, let handlers in flight finish, and cancel late ones."""
        self._stopping = True
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=self._stop_timeout)
            for task in late:  # not awaited: a handler may refuse to end
                task.cancel()
        await self._acknowledgement.finish(self._stop_timeout)


def make_receiver(
    router: Router,
    *,
    secret: str | Sequence[str] | None,
    limits: Limits = DEFAULT_LIMITS,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
    zone: tzinfo | None = None,
    stop_timeout: float = 20.0,
    journal: Journal | None = None,
    id_key: str | bytes | Sequence[str | bytes] | None = None,
) -> Receiver:
    """Make a receiver; the arguments are those of `infobip_async.webhook.webhook_app`.

    Raises:
        LocalProtocolError: as `webhook_app`.
    """
    template(inbound)  # raises if no inbound URL can have it
    secrets = check_secrets(secret)
    settings = PushFormat(
        zone=zone, inbound=inbound, most_rows=limits.rows, id_keys=id_keys(id_key)
    )
    return Receiver(
        Admission(secrets, limits.body_bytes),
        LogMask(log_replacements(secrets)),
        StoreThenAck(journal, router, settings) if journal else HandleThenAck(router, settings),
        limits.read_seconds,
        stop_timeout,
    )
