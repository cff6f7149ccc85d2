"""The gateway's own requests: reports and messages for the addresses that were entered.

A connection repeats nothing by itself: what arrives twice was sent twice.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import attrs
import httpcore

from infobip_async.models import DeliveryReport, HlrReport
from infobip_async.protocol import dlr_xml, form, hlr_dlr
from infobip_async.protocol.exchange import HttpRequest, PushKind
from infobip_async.simulator.clock import Clock
from infobip_async.simulator.records import PushAttempt, Report

LADDER: Final = (60.0, 300.0, *[3600.0] * 24)
"""Seconds before each repetition of a post of delivery reports, "again for 60 seconds, then for
five minutes, and then every hour in next 24 hours period" (§3.1)."""

_NO_ANSWER: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
_KEEPALIVE: Final = 5.0  # below what servers allow, so that none closes a connection as it is used


@attrs.define(eq=False)
class Pusher:
    """Makes posts of reports, several at once, and repeats those that §3.1 says to repeat.

    Attributes:
        clock: the time between repetitions.
        address: the URL for a kind of push; None where none was entered.
        in_flight: how many pushes may be under way at once.
        timeout: seconds that a receiver may take for each step of an exchange.
        keep: how many attempts to keep, the latest; None for all.
        attempts: what was pushed, the oldest first.
        answers: attempts by HTTP status; None stands for no answer.
        given_up: posts that were never taken, with all repetitions that they had.
        unaddressed: reports for which no URL was entered.
    """

    clock: Clock
    address: Callable[[PushKind], str | None]
    in_flight: int = 4
    timeout: float = 30.0
    keep: int | None = None
    attempts: deque[PushAttempt] = attrs.field(init=False)
    answers: Counter[int | None] = attrs.field(init=False, factory=Counter)
    given_up: int = attrs.field(init=False, default=0)
    unaddressed: int = attrs.field(init=False, default=0)
    _connections: httpcore.AsyncConnectionPool = attrs.field(init=False)
    _slots: asyncio.Semaphore = attrs.field(init=False)
    _waiting: defaultdict[PushKind, deque[Report]] = attrs.field(
        init=False, factory=lambda: defaultdict(deque)
    )
    _tasks: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)
    _repeating: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)
    _awake: int = attrs.field(init=False, default=0)
    _quiet: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    @attempts.default
    def _none_yet(self) -> deque[PushAttempt]:
        return deque(maxlen=self.keep)

    @_connections.default
    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            max_connections=self.in_flight, keepalive_expiry=_KEEPALIVE
        )

    @_slots.default
    def _as_many_as_connections(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.in_flight)

    def __attrs_post_init__(self) -> None:
        self._quiet.set()

    # --- tasks ------------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the caller, as work that `settled` waits for."""
        self._run(work, self._tasks)

    def _run(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        def end(task: asyncio.Task[None]) -> None:
            among.discard(task)
            self._rest()

        task = asyncio.create_task(work)
        among.add(task)
        self._wake()
        task.add_done_callback(end)

    def _wake(self) -> None:
        self._awake += 1
        self._quiet.clear()

    def _rest(self) -> None:
        self._awake -= 1
        if not self._awake:
            self._quiet.set()

    async def pause(self, seconds: float) -> None:
        """Let time pass, within what was started here."""
        self._rest()
        try:
            await self.clock.sleep(seconds)
        finally:
            self._wake()

    async def quiet(self) -> None:
        """Wait until all that is left to do waits for time to pass."""
        await self._quiet.wait()

    async def settled(self) -> None:
        """Wait until nothing is left to do but to repeat, later, what was not taken."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.quiet()

    async def aclose(self) -> None:
        """Drop what is left to do, and close all connections."""
        tasks = self._tasks | self._repeating
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connections.aclose()

    # --- pushes -----------------------------------------------------------------------------

    def publish(self, kind: PushKind, reports: Iterable[Report]) -> None:
        """Push reports, with others that wait for their turn, at most 100 in a post (§5)."""
        waiting = self._waiting[kind]
        before = len(waiting)
        waiting.extend(reports)
        for _ in range(0, len(waiting) - before, hlr_dlr.MAX_ROWS):
            self.start(self._post_some(kind, waiting))

    async def push_now(self, kind: PushKind, reports: Iterable[Report]) -> None:
        """Push reports, and come back when each post was tried once."""
        waiting = deque(reports)
        while waiting:
            await self._post_some(kind, waiting)

    async def request(self, kind: PushKind, request: HttpRequest, rows: int = 1) -> int | None:
        """Make one request when there is room for it; the HTTP status, or None for no answer."""
        async with self._slots:
            return await self._attempt(kind, request, rows)

    async def _post_some(self, kind: PushKind, waiting: deque[Report]) -> None:
        async with self._slots:
            rows = [waiting.popleft() for _ in range(min(len(waiting), hlr_dlr.MAX_ROWS))]
            url = self.address(kind)
            if url is None:
                self.unaddressed += len(rows)
            if url is None or not rows:  # an earlier post may have taken them along
                return
            post = _post(url, rows)
            status = await self._attempt(kind, post, len(rows))
        if not _is_success(status):
            self._run(self._repeat(kind, post, len(rows)), self._repeating)

    async def _repeat(self, kind: PushKind, post: HttpRequest, rows: int) -> None:
        """Repeat delivery reports on the ladder of §3.1; the document promises no others."""
        for seconds in LADDER if kind is PushKind.DELIVERY_REPORTS else ():
            await self.pause(seconds)
            if _is_success(await self.request(kind, post, rows)):
                return
        self.given_up += 1

    async def _attempt(self, kind: PushKind, request: HttpRequest, rows: int) -> int | None:
        status: int | None = None
        with suppress(*_NO_ANSWER):
            response = await self._connections.request(
                request.method,
                request.url,
                headers={"Content-Type": request.content_type} if request.content_type else None,
                content=request.body or None,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write"), self.timeout)},
            )
            status = response.status
        self.answers[status] += 1
        self.attempts.append(PushAttempt(kind, rows, self.clock.now(), status))
        return status


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - 2xx


def _post(url: str, rows: list[Report]) -> HttpRequest:
    lookups = [row for row in rows if isinstance(row, HlrReport)]
    if lookups:
        return HttpRequest("POST", url, hlr_dlr.encode_push(lookups), form.CONTENT_TYPE)
    deliveries = [row for row in rows if isinstance(row, DeliveryReport)]
    return HttpRequest("POST", url, dlr_xml.encode_push(deliveries), "text/xml; charset=utf-8")
