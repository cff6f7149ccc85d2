"""The store of deliveries, with everything that has to hear of their changes."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from infobip_async.bulk.items import SendOutcome
from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.deliveries.outbox import Outbox
from infobip_async.deliveries.records import DeliveryRef, StoredDelivery
from infobip_async.deliveries.store import Change, Changed, DeliveryQuery, DeliveryStore
from infobip_async.deliveries.waiting import Waiting
from infobip_async.errors import StorageUnavailableError
from infobip_async.models.events import DeliveryReport
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

if TYPE_CHECKING:
    from infobip_async.telemetry.watching import Watch

_PAGE: Final = 50
"""Messages that expire at once."""
_LONGEST_INTERVAL: Final = 30.0
_RETRY_SECONDS: Final = 1.0

_logger = logger_of_faults("infobip_async.deliveries")


class Ledger:
    """Changes deliveries in a store: by their requests, their reports, and their age.

    Args:
        store: keeps them.
        router: has the handlers of `Delivery`.
        clock: gives the time in seconds since the epoch.
        sleep: waits for seconds.
        final_after: seconds after which a message without a final report is final.

    Attributes:
        runs: the names of the runs that are going on in this process.
        waiting: who waits for changes.
        watch: makes spans and metrics of them.
    """

    def __init__(
        self,
        store: DeliveryStore,
        router: Router,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        final_after: float,
    ) -> None:
        self.store = store
        self.clock = clock
        self.runs: set[str] = set()
        self.waiting: Waiting = Waiting()
        self._sleep = sleep
        self._final_after = final_after
        self.watch: Watch = router.watch
        self._outbox = Outbox(store, router, clock)
        self._background = LastingTasks("deliveries", _logger)
        self._reporting: set[asyncio.Future[None]] = set()

    def start(self) -> None:
        """Begin to look for what is late or left over, and for what others change."""
        self._background.start(self._maintain)
        if self.store.shared:
            self._background.start(self._follow)

    async def aclose(self, seconds: float) -> None:
        """Let handlers finish, for up to so many seconds."""
        await self._background.end()
        if self._reporting:
            await asyncio.wait(self._reporting, timeout=seconds)
        await self._outbox.aclose(seconds)

    async def get(self, ref: DeliveryRef) -> StoredDelivery | None:
        """Give what is known of a message now."""
        [after] = await self.change([(ref, self._expired_if_late)])
        return after

    async def change(
        self, changes: Sequence[tuple[DeliveryRef, Change]]
    ) -> list[StoredDelivery | None]:
        """Change deliveries, and tell of it; handlers run in the background."""
        done = await self.store.update(changes)
        self._tell(done)
        for changed in done:
            if changed[1] is not None and self._outbox.is_ours(changed):
                self._outbox.start(changed[1])
        return [after for _, after in done]

    def moved(self, before: StoredDelivery, after: StoredDelivery) -> StoredDelivery:
        """Have handlers given a delivery, if a change makes its state another one."""
        return self._outbox.moved(before, after)

    # --- reports ---

    async def reported(self, reports: Sequence[DeliveryReport]) -> None:
        """Take reports: the handler for `Router.on`."""
        running: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reporting.add(running)
        try:
            await self._fold(reports)
        finally:
            self._reporting.discard(running)
            running.set_result(None)

    async def _fold(self, reports: Sequence[DeliveryReport]) -> None:
        by_id: defaultdict[str, list[DeliveryReport]] = defaultdict(list)
        for report in reports:
            by_id[report.message_id].append(report)
        done = await self.store.update(
            [(one, partial(self._with_reports, several)) for one, several in by_id.items()]
        )
        self._tell(done)
        self._count(by_id.values(), done)
        ours = [changed[1] for changed in done if changed[1] and self._outbox.is_ours(changed)]
        # Side by side, so that slow handlers of some do not hold up a push of many.
        ends = await asyncio.gather(*map(self._outbox.announce, ours), return_exceptions=True)
        if faults := [end for end in ends if isinstance(end, Exception)]:
            raise ExceptionGroup("handlers of deliveries failed", faults)

    def _with_reports(
        self, reports: Sequence[DeliveryReport], known: StoredDelivery | None
    ) -> StoredDelivery | None:
        if known is None:
            return None  # of a message that was sent without a store, or is forgotten
        after = known
        for report in reports:
            if report.message_id in known.ids:
                after = after.reported(report)
        return self._outbox.taken(self._outbox.moved(known, after))

    def _expired_if_late(self, known: StoredDelivery | None) -> StoredDelivery | None:
        if known is None or known.created_at >= self.clock() - self._final_after:
            return known
        if known.state.is_final:
            return known
        return self._outbox.moved(known, attrs.evolve(known, expired=True))

    def _tell(self, done: Sequence[Changed]) -> None:
        for before, after in done:
            if before is not None and after is not None and after.changes != before.changes:
                self.waiting.tell(after)
                if self.watch.active and after.state.is_final and not before.state.is_final:
                    self._tell_of_end(after)

    def _tell_of_end(self, one: StoredDelivery) -> None:
        """Tell how long it took, unless the message never went out: its request tells that."""
        state = one.state
        if state.outcome in {SendOutcome.NOT_SENT, SendOutcome.REFUSED}:
            return
        label = state.label.partition(":")[0].replace(" ", "_")
        status = "" if state.status is None else state.status.value
        attributes = {"infobip.state": label, "infobip.status": status}
        self.watch.delivered(one.created_at, self.clock(), attributes, one.trace_context)

    def _count(self, reports: Iterable[Sequence[DeliveryReport]], done: Iterable[Changed]) -> None:
        """Count what reports were good for, those on one id together."""
        for several, (before, after) in zip(reports, done, strict=True):
            if before is None or after is None:
                state = "uncorrelated"
            else:
                state = "repeated" if after.known == before.known else "new"
            self.watch.count("infobip.delivery.reports", len(several), {"infobip.state": state})

    # --- in the background ---

    async def _maintain(self) -> None:
        """Hand on what was left over, and end what is late, from time to time."""
        first = True
        while True:
            try:
                await self._outbox.sweep(anyway=first)
                await self._expire()
                first = False
            except StorageUnavailableError as fault:
                _logger.warning("deliveries cannot be looked through: %s", fault)
            await self._sleep(min(_LONGEST_INTERVAL, max(self._final_after / 20, 0.05)))

    async def _expire(self) -> None:
        before = self.clock() - self._final_after
        query = DeliveryQuery(is_final=False, created_before=before)
        late = [one.ref async for one in self.store.scan(query)]
        for start in range(0, len(late), _PAGE):
            page = late[start : start + _PAGE]
            await self.change([(one, self._expired_if_late) for one in page])

    async def _follow(self) -> None:
        """Hear of what other processes change."""
        while True:
            try:
                async for one in self.store.follow():
                    self.waiting.tell(one)
                    self._outbox.hear(one)
            except StorageUnavailableError as fault:
                _logger.warning("other processes cannot be heard: %s", fault)
            await self._sleep(_RETRY_SECONDS)


async def refuse(_: DeliveryReport) -> None:
    """Take no report, as a handler of a router: nobody would store what becomes of it.

    Raises:
        StorageUnavailableError: always, so that the gateway, or a journal, gives the report again.
    """
    raise StorageUnavailableError("the deliveries were left; their reports are taken by the next")
