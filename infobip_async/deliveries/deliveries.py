"""`Deliveries`: a message and the reports on it as one awaitable, one event, one row of a store."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Self, get_args

from infobip_async.bulk.items import SendOutcome, SendResult
from infobip_async.concurrency.stop_deadline import time_to_stop
from infobip_async.concurrency.tasks import LastingTasks, TaskSet, first_of
from infobip_async.deliveries.ledger import Ledger, refuse
from infobip_async.deliveries.polling import Polling
from infobip_async.deliveries.records import (
    Delivery,
    DeliveryCounts,
    DeliveryKey,
    DeliveryRef,
    StoredDelivery,
)
from infobip_async.deliveries.run import RunRecord
from infobip_async.deliveries.sending import IfKnown, Sending
from infobip_async.deliveries.store import (
    DeliveryQuery,
    DeliveryStore,
    MemoryDeliveryStore,
)
from infobip_async.deliveries.waiting import Changes
from infobip_async.errors import (
    DeliveryTimeoutError,
    LocalProtocolError,
    StorageUnavailableError,
)
from infobip_async.models.events import DeliveryReport
from infobip_async.models.messages import Message, Recipients
from infobip_async.numbering.normalising import normalise
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router
from infobip_async.runs.settings import check_positive, check_range

if TYPE_CHECKING:
    from infobip_async.bulk.run import Source
    from infobip_async.client.client import InfobipClient
    from infobip_async.runs.run import Run

_PUSH: Final = 100
"""Reports that go into one write, and whose handlers run at once."""
_PAGE: Final = 50
"""Messages that are asked about at once."""
_IN_DOUBT: Final = {None, SendOutcome.UNKNOWN}
_RETRY_SECONDS: Final = 0.25

_logger = logger_of_faults("infobip_async.deliveries")


class Deliveries:
    """Sends messages, and knows what became of each: accepted, delivered, failed (§2, §3).

    ::

        async with Deliveries(client, router, store=SqliteDeliveryStore("deliveries.db")) as sent:
            (delivery,) = await sent.send(message, "38598514674", key="order-17")
            final = await sent.wait(delivery.message_id, timeout=3600)

    The reports come through `router`, whichever receiver or poll feeds it. A change of a message
    as a whole is dispatched to the router's handlers of `Delivery`; without a journal the push
    that brought it is acknowledged after these.

    To be used as a context manager, once. Leaving it lets requests and handlers finish, up to
    `stop_timeout`; whoever still waits gets `DeliveryTimeoutError`. From then on the router refuses
    reports if the store lasts, so that none is acknowledged and lost: stop the receiver first.

    Args:
        client: sends; None where only reports are followed.
        router: brings the reports, and has the handlers of `Delivery`.
        store: keeps the deliveries; without one they are in memory.
        poll_interval: seconds between two pulls of reports (§3.2), where the gateway has no URL to
            push them to; None to pull none. A pull that fails is logged, and made again; where
            the gateway refuses, such as a wrong password, less and less often.
        final_after: seconds after which a message without a final report is final and not known.
        stop_timeout: seconds that leaving the context waits for requests and handlers.
        clock: gives the time in seconds since the epoch.
        sleep: waits for seconds.

    Raises:
        LocalProtocolError: a setting is out of its range.
    """

    def __init__(
        self,
        client: "InfobipClient | None",
        router: Router,
        *,
        store: DeliveryStore | None = None,
        poll_interval: float | None = None,
        final_after: float = 72 * 3600.0,
        stop_timeout: float = 30.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        check_positive("final_after", final_after)
        check_positive("poll_interval", 1 if poll_interval is None else poll_interval)
        check_range("stop_timeout", stop_timeout, 0)
        self._client = client
        self._router = router
        self._store = MemoryDeliveryStore() if store is None else store
        self._poll_interval = poll_interval
        self._stop_timeout = stop_timeout
        self._clock = clock
        self._sleep = sleep
        self._ledger = Ledger(
            self._store, router, clock=clock, sleep=sleep, final_after=final_after
        )
        self._requests = TaskSet()
        self._polling = LastingTasks("deliveries", _logger, partial(sleep, poll_interval or 0))
        self._entered = self._open = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a Deliveries is entered once")
        self._entered = True
        await self._store.__aenter__()
        self._open = True
        self._router.off(DeliveryReport, refuse)
        self._router.on(DeliveryReport, batch=_PUSH)(self._ledger.reported)
        self._ledger.start()
        if self._poll_interval is not None:
            self._polling.start(partial(self._pulls.keep_on, self._poll_interval))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        await self._polling.end()
        try:
            await self._requests.drain(time_to_stop(self._stop_timeout))
            await self._requests.cancel()
        finally:
            if self._store.shared:
                self._router.on(DeliveryReport)(refuse)
            self._router.off(DeliveryReport, self._ledger.reported)
            await self._ledger.aclose(time_to_stop(self._stop_timeout))
            self._ledger.waiting.close()
            await self._store.__aexit__(None, None, None)

    # --- sending ---

    async def send(
        self,
        message: Message,
        recipients: Recipients,
        *,
        key: str | None = None,
        if_known: IfKnown = "raise",
    ) -> tuple[Delivery, ...]:
        """Send a message by XML POST (§2/1), whose ids are stored before the request starts.

        The send goes on, and its outcome is stored, if the caller is cancelled.

        Args:
            message: what to send.
            recipients: up to 10,000, none of them twice.
            key: what the caller calls it; it goes with one recipient, and stands for one message
                until that is forgotten.
            if_known: what to do where the key stands for a message that was sent, or may have
                been: ``"raise"`` an error, or ``"return"`` what is known of it, if it has the
                same number and content.

        Returns:
            The delivery of each recipient, in their order.

        Raises:
            AlreadySentError: the key or a message id is known; nothing was sent.
            LocalProtocolError: a rule of the document is broken; nothing was sent.
            GatewayRefusedError: the gateway said no; nothing was sent.
            NotSentError: no byte left this machine.
            OutcomeUnknownError: it may have been sent; a report settles that.
            StorageUnavailableError: the store cannot be written; nothing was sent.
        """
        if if_known not in get_args(IfKnown):
            raise LocalProtocolError("must be raise or return", field="if_known")
        sending = Sending(self._sender, self._ledger)
        intents = sending.intents(message, recipients, key)
        request = self._requests.start(sending.send(message, intents, if_known))
        return tuple(one.view() for one in await asyncio.shield(request))

    def send_many(
        self, source: "Source", *, run: str | None = None, **options: object
    ) -> "Run[SendResult]":
        """Send many messages, whose deliveries are the record of the run.

        Args:
            source: as of `InfobipClient.send_many`.
            run: its name. The same call with the same source goes on after a crash, as a job does.
                Keys of items, and positions of items without one, belong to the run:
                ``get(key=..., run=...)`` finds them. Without a name, it cannot go on.
            options: the keyword arguments of `InfobipClient.send_many` but for `job`.

        Raises:
            LocalProtocolError: an option is out of its range; or a run of this name is going on.
        """
        client = self._sender
        record = RunRecord(self._ledger, run or token_hex(8), client.username)
        return client.send_many(source, job=record, **options)  # type: ignore[arg-type]  # checked there

    @property
    def _sender(self) -> "InfobipClient":
        if not self._open:
            raise RuntimeError("messages are sent inside `async with Deliveries(...)`")
        if self._client is None:
            raise LocalProtocolError("these deliveries have no client to send by", field="client")
        return self._client

    async def poll(self, *, interval: float = 60.0) -> None:
        """Pull reports again and again (§3.2), where the gateway has no URL to push them to.

        They go to all handlers of the router, and what cannot be read to those of `UnreadableRow`.
        The gateway gives a report once, so it is held until the store takes it, and the client
        keeps it if the poll is left before; a handler of yours that fails is not called again.

        Args:
            interval: seconds between two pulls.

        Raises:
            AuthenticationError: the username or password is wrong or missing.
        """
        await self._pulls.poll(interval)

    @property
    def _pulls(self) -> Polling:
        return Polling(self._sender.reports, self._router, self._sleep)

    # --- what is known ---

    async def get(
        self, message_id: str | None = None, *, key: str | int | None = None, run: str | None = None
    ) -> Delivery | None:
        """Give what is known of a message; None where nothing is.

        Args:
            message_id: its id, or the id of a part of it.
            key: what its caller calls it, in place of an id; the position of an item of a run.
            run: the run that the key belongs to.

        Raises:
            LocalProtocolError: neither or both of id and key are given.
        """
        one = await self._ledger.get(_ref(message_id, key, run))
        return None if one is None else one.view()

    async def wait(
        self,
        message_id: str | None = None,
        *,
        key: str | int | None = None,
        run: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it raises an error of its own
    ) -> Delivery:
        """Wait until a message is final, also where the store is away meanwhile.

        Args:
            message_id: its id.
            key: what its caller calls it, in place of an id; the position of an item of a run.
            run: the run that the key belongs to.
            timeout: seconds to wait; None for as long as it takes, which is `final_after` at most.

        Raises:
            DeliveryTimeoutError: it was not final in time, or the context was left.
            LocalProtocolError: no such message is known.
            StorageUnavailableError: the store was away at the end of that time.
        """
        ref = _ref(message_id, key, run)
        end: asyncio.Future[object] = asyncio.get_running_loop().create_future()  # never
        if timeout is not None:
            end = asyncio.ensure_future(self._sleep(timeout))
        try:
            delivery = await self._wait(ref, end)
        finally:
            end.cancel()
        if not delivery.is_final:
            why = "no final report came in time; it may still come"
            raise DeliveryTimeoutError(why, delivery=delivery)
        return delivery

    async def _wait(self, ref: DeliveryRef, end: "asyncio.Future[object]") -> Delivery:
        """Wait until a message is final, or for the end of a time, or of the context."""
        one = await self._known(ref, end)
        if one.state.is_final:
            return one.view()
        waiter = self._ledger.waiting.begin(one.message_id)
        try:
            one = await self._known(ref, end)  # its end may have come before the wait began
            if one.state.is_final:
                return one.view()
            await first_of(waiter, end)
        finally:
            self._ledger.waiting.end(one.message_id, waiter)
        if waiter.done():
            return waiter.result() or one.view()
        return (await self._known(ref, end)).view()

    async def _known(self, ref: DeliveryRef, end: "asyncio.Future[object]") -> StoredDelivery:
        """What is known of a message; a store that is away is asked again until a time."""
        while True:
            try:
                if (one := await self._ledger.get(ref)) is not None:
                    return one
                raise LocalProtocolError("no such delivery is known", field="message_id")
            except StorageUnavailableError:
                if end.done() or not self._open:
                    raise
                await first_of(end, self._sleep(_RETRY_SECONDS))

    def __aiter__(self) -> Changes:
        """Go through all deliveries that change, in this process or another, from now on."""
        return self._ledger.waiting.changes()

    async def pending(self, *, older_than: float | None = None) -> AsyncIterator[Delivery]:
        """Go through the deliveries that are not final, the oldest first.

        Args:
            older_than: only those that were stored so many seconds ago, or longer.
        """
        before = None if older_than is None else self._clock() - older_than
        query = DeliveryQuery(is_final=False, created_before=before)
        async for one in self._store.scan(query):
            yield one.view()

    async def stored(self, *, run: str | None = None) -> AsyncIterator[Delivery]:
        """Go through all deliveries, the oldest first.

        Args:
            run: only those of this run.
        """
        async for one in self._store.scan(DeliveryQuery(run=run)):
            yield one.view()

    async def counts(self) -> DeliveryCounts:
        """Count the deliveries by what became of them."""
        return DeliveryCounts.of(await self._store.counts())

    async def forget(self, *, older_than: float | None = None, msisdn: str | None = None) -> int:
        """Forget deliveries, and with them their keys: a key can be used anew then.

        What a file once held may stay in its free pages; `infobip_async.forget` writes it anew.

        Args:
            older_than: those that are final, and were stored so many seconds ago or longer.
            msisdn: those to a number, in any form that `numbering.normalise` reads; without
                `older_than` also those that are not final.

        Returns:
            How many there were.

        Raises:
            LocalProtocolError: neither is given, or the number cannot be read.
        """
        if older_than is None and msisdn is None:
            raise LocalProtocolError("say which ones: older_than or msisdn", field="older_than")
        query = DeliveryQuery(
            is_final=None if older_than is None else True,
            created_before=None if older_than is None else self._clock() - older_than,
            msisdn=None if msisdn is None else normalise(msisdn),
        )
        return await self._store.delete(query)

    async def reconcile(self) -> tuple[Delivery, ...]:
        """Pull the reports on messages whose outcome is not known (§3.2), and settle them.

        Returns:
            Those of them that a report has settled. No report proves nothing: it may come later.

        Raises:
            AuthenticationError: the username or password is wrong or missing.
            RemoteProtocolError: a reply cannot be read; its `raw` may be the only copy.
            ExceptionGroup: of handlers. The next call gives the same reports again.
        """
        settled: list[Delivery] = []
        page: list[StoredDelivery] = []
        async for one in self._store.scan(DeliveryQuery(is_final=False)):
            if one.state.outcome in _IN_DOUBT:
                page.append(one)
            if len(page) == _PAGE:
                settled += await self._reconcile(page)
                page = []
        return (*settled, *(await self._reconcile(page)))

    async def _reconcile(self, page: Sequence[StoredDelivery]) -> list[Delivery]:
        if page:
            ids = [message_id for one in page for message_id in one.ids]
            await self._sender.reconcile(ids, router=self._router)
        found = [await self._ledger.get(one.ref) for one in page]
        return [one.view() for one in found if one and one.state.outcome not in _IN_DOUBT]


def _ref(message_id: str | None, key: str | int | None, run: str | None) -> DeliveryRef:
    if (message_id is None) == (key is None):
        raise LocalProtocolError("give either a message id or a key", field="message_id")
    return message_id if key is None else DeliveryKey(key, run or "")  # type: ignore[return-value]  # one is given
