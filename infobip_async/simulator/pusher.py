"""The gateway's own requests: reports and inbound messages, for the callback URLs.

No connection repeats a request by itself: a push that arrives twice was sent twice.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

import attrs
import httpcore

from infobip_async.concurrency.tasks import TaskSet, cancel
from infobip_async.models.events import DeliveryReport, HlrReport
from infobip_async.protocol import dlr_xml, form, hlr_dlr
from infobip_async.protocol.exchange import HttpRequest, PushKind
from infobip_async.simulator.clock import Clock
from infobip_async.simulator.faults import report_id
from infobip_async.simulator.records import Post, PushAttempt, Pushed, Report

LADDER: Final = (60.0, 300.0, *[3600.0] * 24)
"""Seconds before each repetition of a post of delivery reports, "again for 60 seconds, then for
five minutes, and then every hour in next 24 hours period" (§3.1)."""

_NO_ANSWER: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
_ANSWER: Final = 500  # octets of an answer's body that are shown
_KEEPALIVE: Final = 5.0  # below what servers allow, so that none closes a connection as it is used


@attrs.define(eq=False)
class Pusher:
    """Makes posts of reports, several at once, and repeats those that §3.1 says to repeat.

    Attributes:
        clock: the time between repetitions.
        address: the URL for a kind of push; None where none was entered.
        concurrency: pushes at once.
        timeout: seconds that a receiver may take for each step of an exchange.
        keep: how many of the latest attempts are kept; None for all.
        pushed: is told of every attempt.
        attempts: one entry per push, the oldest first.
        answers: attempts by HTTP status; None stands for no answer.
        given_up: posts that no receiver accepted, even when they were repeated.
        unaddressed: reports for which no URL was entered.
    """

    clock: Clock
    address: Callable[[PushKind], str | None]
    concurrency: int = 4
    timeout: float = 30.0
    keep: int | None = None
    pushed: Callable[[Pushed], None] | None = None
    attempts: deque[PushAttempt] = attrs.field(init=False)
    answers: Counter[int | None] = attrs.field(init=False, factory=Counter)
    given_up: int = attrs.field(init=False, default=0)
    unaddressed: int = attrs.field(init=False, default=0)
    _connections: httpcore.AsyncConnectionPool = attrs.field(init=False)
    _slots: asyncio.Semaphore = attrs.field(init=False)
    _waiting: defaultdict[PushKind, deque[Report]] = attrs.field(
        init=False, factory=lambda: defaultdict(deque)
    )
    _tasks: TaskSet = attrs.field(init=False)
    _repeating: TaskSet = attrs.field(init=False)
    _awake: int = attrs.field(init=False, default=0)  # tasks that do not sleep on the clock
    _quiet: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.attempts = deque(maxlen=self.keep)
        self._connections = httpcore.AsyncConnectionPool(
            max_connections=self.concurrency, keepalive_expiry=_KEEPALIVE
        )
        self._slots = asyncio.Semaphore(self.concurrency)
        self._tasks, self._repeating = TaskSet(self._rest), TaskSet(self._rest)
        self._quiet.set()

    # --- tasks ------------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the caller; `settled` waits for it."""
        self._run(work, self._tasks)

    def _run(self, work: Coroutine[Any, Any, None], tasks: TaskSet) -> None:
        tasks.start(work)
        self._wake()

    def _wake(self) -> None:
        self._awake += 1
        self._quiet.clear()

    def _rest(self, _: object = None) -> None:
        self._awake -= 1
        if not self._awake:
            self._quiet.set()

    async def pause(self, seconds: float) -> None:
        """Sleep on the clock, inside a task that was started here."""
        self._rest()
        try:
            await self.clock.sleep(seconds)
        finally:
            self._wake()

    async def quiet(self) -> None:
        """Wait until all remaining work is waiting on the clock."""
        await self._quiet.wait()

    async def settled(self) -> None:
        """Wait until only repetitions are left, and these are waiting on the clock."""
        await self._tasks.drain()
        await self.quiet()

    async def aclose(self) -> None:
        """Drop the work that is left, and close all connections."""
        await cancel([*self._tasks, *self._repeating])
        await self._connections.aclose()

    def forget(self) -> None:
        """Forget the attempts so far, and what they came to."""
        self.attempts.clear()
        self.answers.clear()
        self.given_up = self.unaddressed = 0

    # --- pushes -----------------------------------------------------------------------------

    def publish(self, kind: PushKind, reports: Iterable[Report]) -> None:
        """Push reports, together with others that are waiting, at most 100 in a post (§5)."""
        waiting = self._waiting[kind]
        before = len(waiting)
        waiting.extend(reports)
        for _ in range(0, len(waiting) - before, hlr_dlr.MAX_ROWS):
            self.start(self._post_some(kind, waiting))

    async def push_now(self, kind: PushKind, reports: Iterable[Report]) -> None:
        """Push reports, and return when each post was tried once."""
        waiting = deque(reports)
        while waiting:
            await self._post_some(kind, waiting)

    async def request(self, post: Post) -> int | None:
        """Make one request when its turn comes; the HTTP status, or None for no answer."""
        async with self._slots:
            return await self._attempt(post)

    async def _post_some(self, kind: PushKind, waiting: deque[Report]) -> None:
        async with self._slots:
            rows = [waiting.popleft() for _ in range(min(len(waiting), hlr_dlr.MAX_ROWS))]
            url = self.address(kind)
            if url is None:
                self.unaddressed += len(rows)
            if url is None or not rows:  # an earlier post may have taken them along
                return
            ids = tuple(map(report_id, rows))
            post = Post(kind, _request(url, rows), len(rows), ids)
            status = await self._attempt(post)
        if not _is_success(status):
            self._run(self._repeat(post), self._repeating)

    async def _repeat(self, post: Post) -> None:
        """Repeat a post of delivery reports as §3.1 says; other posts are not repeated."""
        for seconds in LADDER if post.kind is PushKind.DELIVERY_REPORTS else ():
            await self.pause(seconds)
            if _is_success(await self.request(post)):
                return
        self.given_up += 1

    async def _attempt(self, post: Post) -> int | None:
        request, began = post.request, self.clock.now()
        status, answer = None, b""
        with suppress(*_NO_ANSWER):
            response = await self._connections.request(
                request.method,
                request.url,
                headers={"Content-Type": request.content_type} if request.content_type else None,
                content=request.body or None,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write"), self.timeout)},
            )
            status, answer = response.status, response.content[:_ANSWER]
        self.answers[status] += 1
        attempt = PushAttempt(post.kind, post.rows, self.clock.now(), status)
        self.attempts.append(attempt)
        if self.pushed:
            text = answer.decode(errors="replace")
            self.pushed(Pushed(post, attempt, attempt.at - began, text))
        return status


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - 2xx


def _request(url: str, rows: list[Report]) -> HttpRequest:
    lookups = [row for row in rows if isinstance(row, HlrReport)]
    if lookups:
        return HttpRequest("POST", url, hlr_dlr.encode_push(lookups), form.CONTENT_TYPE)
    deliveries = [row for row in rows if isinstance(row, DeliveryReport)]
    return HttpRequest("POST", url, dlr_xml.encode_push(deliveries), "text/xml; charset=utf-8")
