"""The receiver without its server: what an aiohttp and an ASGI application have in common."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import tzinfo
from http import HTTPStatus
from time import time
from typing import Final

import attrs

from infobip_async.concurrency.big_work import aside
from infobip_async.concurrency.stop_deadline import time_to_stop
from infobip_async.concurrency.tasks import abandon
from infobip_async.journal.base import Journal
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES, template
from infobip_async.protocol.message_ids import id_keys
from infobip_async.protocol.push import PushFormat
from infobip_async.receiver.acknowledge import HandleThenAck, StoreThenAck
from infobip_async.receiver.admission import Admission, Head, Limits, RefusedError, answer
from infobip_async.receiver.health import Health
from infobip_async.receiver.probe import Probe
from infobip_async.receiver.urls import check_secrets, log_mask
from infobip_async.redaction import LogMask, SparseLogger, logger_of_faults
from infobip_async.router import Router
from infobip_async.telemetry.watching import Watch

_logger = logger_of_faults("infobip_async.receiver")

DEFAULT_LIMITS: Final = Limits()

_FAILED: Final = HTTPStatus.INTERNAL_SERVER_ERROR  # which takes Python 3.11 a call to look up

MoreBody = Callable[[], Awaitable[bytes | None]]
"""Gives the next octets of a body, and None after the last."""

_SERVERS: Final = (
    *("aiohttp.access", "aiohttp.server", "gunicorn.access", "gunicorn.error"),
    *("uvicorn.access", "uvicorn.error", "uvicorn.asgi", "hypercorn.access", "hypercorn.error"),
    *("granian.access", "_granian", "daphne.http_protocol", "django.request"),
)
"""Loggers of servers and hosts, in which a request can be written down."""

_TURN: Final = 64
"""Pieces of a body after which others have their turn: a server may have got them all at once."""


@attrs.define  # not frozen: each push makes one, which would take thrice the time
class Answer:
    """What a server answers.

    Attributes:
        status: the status.
        text: the body, as plain text.
        headers: further headers.
        hangs_up: whether to close the connection, with the rest of the request unread.
    """

    status: HTTPStatus
    text: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    hangs_up: bool = False


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
    _stop_timeout: float
    _watch: Watch = attrs.field(repr=False)
    _health: Health | None = None
    # No `TaskSet`: the callback of each task would cost each push a microsecond.
    _running: dict[asyncio.Future[HTTPStatus], asyncio.Task[None]] = attrs.field(
        init=False, factory=dict
    )
    _stopping: bool = attrs.field(init=False, default=False)
    _lines: SparseLogger = attrs.field(init=False, factory=lambda: SparseLogger(_logger))

    async def answer(self, head: Head, read: Callable[[], Awaitable[bytes]]) -> Answer:
        """Judge a request, read it, and have it handled or stored.

        Args:
            head: of the request.
            read: reads the body of a request that was admitted.
        """
        if self._health is not None and head.tail == self._health.path:
            return await self._answer_health(self._health)
        try:
            kind = self.admission.admit(head)
            if probe := self.admission.probe(kind, head.query):
                return Answer(HTTPStatus.OK, await _answer_probe(probe, read))
            status = await self.take(kind, head.query, await read())
        except RefusedError as refusal:
            self._log(refusal)
            return Answer(refusal.status, refusal.text, refusal.headers, hangs_up=True)
        return Answer(status, answer(kind, status))

    async def _answer_health(self, health: Health) -> Answer:
        stopping = self._stopping
        status = HTTPStatus.SERVICE_UNAVAILABLE if stopping else await health.status()
        return Answer(status, answer(PushKind.DELIVERY_REPORTS, status), hangs_up=True)

    async def read(self, more: MoreBody) -> bytes:
        """Read a body under our own limits: the server has others, or none.

        Raises:
            RefusedError: 408 or 413.
        """
        body, pieces = bytearray(), 0
        try:
            async with asyncio.timeout(self.admission.limits.read_seconds):
                while (piece := await more()) is not None:
                    body += piece
                    self.admission.check_size(len(body))
                    pieces += 1
                    if not pieces % _TURN:
                        await asyncio.sleep(0)
        except TimeoutError:
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT) from None
        return bytes(body)

    def body_taken_away(self) -> RefusedError:
        """Log that what runs before the receiver has read a body and kept it; the push is lost."""
        self._lines.error("something in front of the receiver has taken the body away")
        return RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def take(self, kind: PushKind, query: str, body: bytes) -> HTTPStatus:
        """Have a push handled or stored, in a task that outlives a client which goes away.

        Returns:
            The status to answer.

        Raises:
            RefusedError: 413, or 503 during a stop and after it.
        """
        if self._stopping:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE)
        push = self.admission.push(kind, query, body, time())
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[HTTPStatus] = loop.create_future()
        self._running[answer] = loop.create_task(self._acknowledge(push, answer))
        return await answer

    async def _acknowledge(
        self, push: RawPush, answer: asyncio.Future[HTTPStatus], *, again: bool = False
    ) -> None:
        status: HTTPStatus | None = _FAILED
        try:
            if again:
                status = await self._acknowledgement.take_again(push)
            elif self._watch.active:
                status = await self._take_watched(push)
            else:
                status = await self._acknowledgement.take(push)
        except asyncio.CancelledError:  # by `stop`, or a handler has cancelled its own task
            self._lines.warning("handlers were cancelled on a push to %s", push.kind.value)
            if again or self._stopping:
                raise
            status = None
        finally:
            if status is None:
                work = self._acknowledge(push, answer, again=True)
                self._running[answer] = asyncio.create_task(work)
            else:
                del self._running[answer]
                if not answer.done():  # else the client has gone away
                    answer.set_result(status)

    async def _take_watched(self, push: RawPush) -> HTTPStatus:
        with self._watch.push(push.kind.value) as watched:
            if context := watched.trace_context():
                push = attrs.evolve(push, trace_context=context)
            status = await self._acknowledgement.take(push)
            watched.attributes["http.response.status_code"] = status.value
        return status

    def _log(self, refusal: RefusedError) -> None:
        """Log a refusal, but no stranger's: strangers write no log."""
        if not refusal.from_stranger:
            status = refusal.status
            self._lines.warning("refused a request: %d %s", status.value, status.phrase)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Have stored pushes handled, and late parts handed on, until the context is left."""
        self.mask.guard(*map(logging.getLogger, _SERVERS))
        try:
            async with self._acknowledgement.serve():
                self._stopping = False
                try:
                    yield
                finally:
                    await self.stop()
        finally:
            self.mask.release()

    async def stop(self) -> None:
        """Take no more pushes, let handlers in flight finish, and cancel late ones."""
        self._stopping = True
        if self._running:
            seconds = time_to_stop(self._stop_timeout)
            _, late = await asyncio.wait(self._running.values(), timeout=seconds)
            await abandon(late, 1.0)  # a handler may refuse to end
        await self._acknowledgement.finish(time_to_stop(self._stop_timeout))


async def _answer_probe(probe: Probe, read: Callable[[], Awaitable[bytes]]) -> str:
    try:
        body = await read()
    except RefusedError as refusal:
        if refusal.status is not HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        body = b""  # something has taken the body away: the answer says so
    return await aside(len(body), probe.answer, body)


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
    health_path: str | None = None,
    max_waiting: float = 300.0,
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
        Admission(secrets, limits),
        log_mask(secrets),
        StoreThenAck(journal, router, settings) if journal else HandleThenAck(router, settings),
        stop_timeout,
        router.watch,
        Health(health_path.strip("/"), max_waiting, journal) if health_path else None,
    )
