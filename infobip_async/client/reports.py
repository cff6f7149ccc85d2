"""Delivery reports pulled from the gateway (§3.2); none is lost on the way to a caller."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from datetime import tzinfo
from functools import partial
from typing import Final

import attrs

from infobip_async.client.outcomes import Outcomes
from infobip_async.concurrency.tasks import first_of
from infobip_async.errors import GatewayUnreachableError, RemoteProtocolError
from infobip_async.models.events import DeliveryReport, UnreadableRow
from infobip_async.protocol import dlr_pull
from infobip_async.protocol.exchange import Credentials, HttpReply
from infobip_async.protocol.form import printable
from infobip_async.redaction import logger_of_faults, spellings
from infobip_async.router import Router

Sleep = Callable[[float], Awaitable[object]]
"""Waits for seconds."""

IDS_AT_ONCE: Final = 50
"""Message ids that `reconcile` asks about in one pull: they stand in its URL."""

_MOST_UNREADABLE: Final = 10_000

_logger = logger_of_faults("infobip_async.client")


class ReportQueue:
    """Pulls reports into a queue, from which callers take them.

    The gateway gives each report once. So a report that its caller does not take, because it was
    cancelled or left its loop, waits for the next caller.

    Attributes:
        waiting: the reports that nobody has taken.
    """

    def __init__(
        self, outcomes: Outcomes, url: str, credentials: Credentials, zone: tzinfo | None
    ) -> None:
        self._outcomes = outcomes
        self._encode = partial(dlr_pull.encode_request, url, credentials)
        self._password = spellings(credentials.password)
        self._zone = zone
        self.waiting: deque[DeliveryReport] = deque()
        self._unreadable: deque[UnreadableRow] = deque(maxlen=_MOST_UNREADABLE)
        self._closing = asyncio.Event()

    async def pull(self, message_ids: tuple[str, ...] = (), router: Router | None = None) -> None:
        """Bring reports into the queue, even if the caller is cancelled meanwhile.

        With a router, what cannot be read goes to its handlers, or waits to be taken: rows, and a
        reply as a whole. Without one, such a reply is raised.
        """
        keep = self._keep if router is None else self._keep_whole
        await self._outcomes.read("pull_reports", partial(self._encode, message_ids), keep)
        if router is not None and router.handles(UnreadableRow):
            rows = self.take_unreadable()
            try:
                await router.dispatch(rows)
            except BaseException:
                self._unreadable.extend(rows)  # there is no other copy
                raise

    def take_unreadable(self) -> tuple[UnreadableRow, ...]:
        """Give the rows that could not be read, each once."""
        rows = tuple(self._unreadable)
        self._unreadable.clear()
        return rows

    def close(self) -> None:
        """End every `poll`, and say how many reports nobody took."""
        self._closing.set()
        self._tell_of_waiting()

    def _tell_of_waiting(self) -> None:
        if waiting := len(self.waiting):
            _logger.warning("%d delivery reports were pulled and not taken", waiting)

    async def poll(
        self, interval: float, router: Router | None
    ) -> AsyncGenerator[DeliveryReport, None]:
        """Pull again and again, and yield what comes, until this is closed."""
        async with aclosing(self.pulls(interval, router)) as pulls:
            async for _ in pulls:
                while self.waiting:
                    yield self.waiting.popleft()

    async def pulls(
        self, interval: float, router: Router | None, sleep: Sleep = asyncio.sleep
    ) -> AsyncGenerator[bool, None]:
        """Pull again and again until this is closed, and yield each time whether an answer came."""
        while not self._closing.is_set():
            answered = False
            try:
                await self.pull(router=router)
                answered = True
            except (GatewayUnreachableError, RemoteProtocolError) as fault:
                if isinstance(fault, RemoteProtocolError) and fault.status is None:
                    raise  # its `raw` may be the only copy of reports
                _logger.warning("delivery reports could not be pulled: %s", fault)
            except ExceptionGroup:
                answered = True
                _logger.exception("handlers failed on what cannot be read: they get it again")
            yield answered
            await first_of(self._closing.wait(), sleep(interval))

    def _keep(self, reply: HttpReply) -> None:
        for row in dlr_pull.decode_reply(reply, zone=self._zone):
            if isinstance(row, DeliveryReport):
                self.waiting.append(row)
            else:
                self._set_aside(row)

    def _keep_whole(self, reply: HttpReply) -> None:
        """Keep the reports, or the reply if it cannot be read: it may be their only copy."""
        try:
            self._keep(reply)
        except RemoteProtocolError as fault:
            self._set_aside(UnreadableRow(printable(reply.body), str(fault)))

    def _set_aside(self, row: UnreadableRow) -> None:
        # A gateway may repeat the request in the row, and with it the password.
        self._unreadable.append(attrs.evolve(row, raw=self._password.sub("***", row.raw)))
        self._outcomes.watch.unreadable(1, "pull")
        _logger.warning("an unreadable report was pulled: %s", row.reason)

    async def take(
        self, message_ids: Iterable[str] = (), router: Router | None = None
    ) -> tuple[DeliveryReport, ...]:
        """Pull, and take reports out of the queue: all, or those of some messages."""
        ids = _several(message_ids)
        await self.pull(ids, router)
        every = tuple(self.waiting)
        self.waiting.clear()
        if not ids:
            return every
        wanted = frozenset(ids)
        self.waiting.extend(one for one in every if one.message_id not in wanted)
        return tuple(one for one in every if one.message_id in wanted)

    async def reconcile(
        self, message_ids: Iterable[str], router: Router | None
    ) -> dict[str, DeliveryReport]:
        """Ask about messages, some at a time, and hand their reports to a router's handlers."""
        wanted = _several(message_ids)
        proven: dict[str, DeliveryReport] = {}
        with self.kept(proven.values()):
            for start in range(0, len(wanted), IDS_AT_ONCE):
                reports = await self.take(wanted[start : start + IDS_AT_ONCE], router)
                proven.update((report.message_id, report) for report in reports)
                if router is not None:
                    await router.dispatch(reports)
        return proven

    @contextmanager
    def kept(self, reports: Iterable[DeliveryReport]) -> Iterator[None]:
        """Put reports back into the queue if this call fails: there is no other copy."""
        try:
            yield
        except BaseException:
            self.waiting.extend(reports)
            if self._closing.is_set():
                self._tell_of_waiting()
            raise


def _several(message_ids: Iterable[str]) -> tuple[str, ...]:
    return (message_ids,) if isinstance(message_ids, str) else tuple(message_ids)
