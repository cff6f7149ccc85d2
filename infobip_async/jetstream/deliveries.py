"""Deliveries in a key-value bucket of NATS JetStream, for processes on any machines.

::

    store = NatsDeliveryStore("nats://127.0.0.1:4222")
    async with Deliveries(client, router, store=store) as deliveries: ...

Each delivery is one entry, under its key or, where it has none, under its id; further ids have
entries that lead there. These are written first: one that leads to a delivery without its id leads
nowhere. A delivery is written over the revision that it was made from, and made again where that
was not the last one.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from secrets import token_hex
from typing import Final, Self

import attrs
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from infobip_async.concurrency.tasks import LastingTasks
from infobip_async.deliveries.records import DeliveryKey, DeliveryRef, StoredDelivery
from infobip_async.deliveries.store import Change, Changed, DeliveryQuery
from infobip_async.errors import LocalProtocolError
from infobip_async.jetstream.connection import ConflictError, Connection, sequence_of
from infobip_async.jetstream.consumers import OrderedConsumer
from infobip_async.jetstream.messages import check_name
from infobip_async.jetstream.options import Servers, connect_options

_LEADS_TO: Final = b">"
_CHANGED: Final = "Infobip-Changed"
"""The header of entries whose delivery has another state than before, with whose change that is."""
_READ_AHEAD: Final = 500
_IDLE_SECONDS: Final = 2.0

_logger = logging.getLogger("infobip_async.jetstream")


@attrs.frozen
class _Entry:
    """A delivery in the bucket, and its revision; 0 where there is none."""

    delivery: StoredDelivery | None = None
    revision: int = 0


class NatsDeliveryStore:
    """Keeps deliveries in a bucket, so that any process can send and any other receive.

    What another process changes is heard of at once. Deliveries are gone through in the order of
    their last changes. A store has no more than one delivery changed at a time by each call of
    `update`: with a journal, reports do not wait for that.

    Args:
        servers: URLs of the broker's servers, or `ConnectOptions`.
        bucket: its name: letters, digits, ``-`` and ``_``; created if it is missing.
        replicas: copies of the bucket in a cluster of brokers: 1, 3 or 5.

    Raises:
        LocalProtocolError: the bucket's name is out of range.
        StorageUnavailableError: by every method: the broker is away. A change may have been made.
    """

    shared = True

    def __init__(
        self, servers: Servers, *, bucket: str = "infobip_deliveries", replicas: int = 1
    ) -> None:
        check_name("bucket", bucket)
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}"
        self._replicas = replicas
        self._connection = Connection(connect_options(servers), self._declare)
        self._last = -1
        self._token = token_hex(8)

    async def __aenter__(self) -> Self:
        await self._connection.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.aclose()

    async def _declare(self, connection: Connection) -> None:
        config = StreamConfig(
            name=self._stream,
            subjects=[f"{self._prefix}.>"],
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            num_replicas=self._replicas,
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_direct=True,
        )
        info = await connection.ensure_stream(config)
        if self._last < 0:
            self._last = info.state.last_seq

    # --- one delivery ---

    def _subject(self, ref: DeliveryRef) -> str:
        if isinstance(ref, DeliveryKey):
            kind, text = "key", json.dumps([ref.run, ref.key])
        else:
            kind, text = "id", ref
        octets = text.encode("utf-8", "surrogatepass")
        return f"{self._prefix}.{kind}.{blake2b(octets, digest_size=16).hexdigest()}"

    async def _read(self, subject: str) -> tuple[bytes, int]:
        message = await self._connection.last_message(self._stream, subject)
        if message is None:
            return b"", 0
        return message.data, sequence_of(message)

    async def _find(self, ref: DeliveryRef) -> _Entry:
        data, revision = await self._read(self._subject(ref))
        if data.startswith(_LEADS_TO):
            data, revision = await self._read(data[1:].decode())
        if not data:
            return _Entry()
        one = StoredDelivery.decode(data)
        if isinstance(ref, DeliveryKey) or ref in one.ids or ref == one.message_id:
            return _Entry(one, revision)
        return _Entry()

    async def update(self, changes: Sequence[tuple[DeliveryRef, Change]]) -> Sequence[Changed]:
        """See `DeliveryStore.update`; a fault leaves the changes before it."""
        return [await self._change(ref, change) for ref, change in changes]

    async def _change(self, ref: DeliveryRef, change: Change) -> Changed:
        while True:
            entry = await self._find(ref)
            before = entry.delivery
            after = change(before)
            if after is before:
                return before, after
            try:
                await self._write(before, after, entry.revision)
            except ConflictError:
                continue  # somebody else was faster
            return before, after

    async def _write(
        self, before: StoredDelivery | None, after: StoredDelivery | None, revision: int
    ) -> None:
        if after is not None:
            await self._lead(before, after)
            changed = before is not None and before.changes != after.changes
            headers = {_CHANGED: self._token} if changed else {}
            await self._connection.store(
                self._stream,
                self._subject(after.ref),
                after.encode().encode(),
                headers=headers,
                behind=revision,
            )
        if before is not None:
            await self._purge(before, after)

    async def _lead(self, before: StoredDelivery | None, after: StoredDelivery) -> None:
        """Have the ids of a delivery lead to it.

        Raises:
            LocalProtocolError: one belongs to another delivery.
        """
        main = self._subject(after.ref)
        new = _refs(after) - (_refs(before) if before else set())
        for ref in new:
            known = (await self._find(ref)).delivery
            if known is not None and self._subject(known.ref) != main:
                raise LocalProtocolError("it belongs to another delivery", field="message_id")
        for ref in new:
            if (subject := self._subject(ref)) != main:
                await self._connection.store(self._stream, subject, _LEADS_TO + main.encode())

    async def _purge(self, before: StoredDelivery, after: StoredDelivery | None) -> None:
        """Remove the entries that a delivery had and has no more."""
        refs: set[DeliveryRef] = {before.ref, *_refs(before)}
        kept: set[DeliveryRef] = {after.ref, *_refs(after)} if after else set()
        for ref in refs - kept:
            await self._connection.purge(self._stream, self._subject(ref))

    # --- many deliveries ---

    async def scan(self, query: DeliveryQuery) -> AsyncIterator[StoredDelivery]:
        """See `DeliveryStore.scan`."""
        info = await self._connection.call(lambda js: js.stream_info(self._stream))
        read, last = 0, info.state.last_seq if info.state.messages else 0
        async with self._messages(0) as messages:
            while read < last:
                try:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        message = await messages.get()
                except TimeoutError:
                    if self._connection.ready:  # what stood at the end was removed meanwhile
                        return
                    continue
                read = message.metadata.sequence.stream
                one = _decoded(message)
                if one is not None and query.fits(one):
                    yield one

    @asynccontextmanager
    async def _messages(self, last: int) -> AsyncIterator[asyncio.Queue[Msg]]:
        """Read the entries behind a revision, in their order, as they come."""
        messages: asyncio.Queue[Msg] = asyncio.Queue(_READ_AHEAD)
        consumer = OrderedConsumer(self._connection, self._stream, f"{self._prefix}.>")
        consumer.last = last
        tasks = LastingTasks("deliveries", _logger)
        tasks.start(partial(consumer.run, messages.put))
        try:
            yield messages
        finally:
            await tasks.end()

    async def delete(self, query: DeliveryQuery) -> int:
        """See `DeliveryStore.delete`."""
        found = [one async for one in self.scan(query)]
        for one in found:
            await self._purge(one, None)
        return len(found)

    async def counts(self) -> Mapping[str, int]:
        """See `DeliveryStore.counts`."""
        counts: Counter[str] = Counter()
        async for one in self.scan(DeliveryQuery()):
            counts.update(one.labels)
        return counts

    async def follow(self) -> AsyncIterator[StoredDelivery]:
        """See `DeliveryStore.follow`."""
        async with self._messages(self._last) as messages:
            while True:
                message = await messages.get()
                self._last = message.metadata.sequence.stream
                changed = (message.headers or {}).get(_CHANGED)
                if changed not in {None, self._token}:
                    yield StoredDelivery.decode(message.data)


def _decoded(message: Msg) -> StoredDelivery | None:
    """The delivery of an entry; None where that only leads to one."""
    if message.data.startswith(_LEADS_TO):
        return None
    return StoredDelivery.decode(message.data)


def _refs(one: StoredDelivery) -> set[DeliveryRef]:
    """The ids that a delivery is found by."""
    ids: set[DeliveryRef] = {*one.ids, one.message_id}
    return ids - {""}
