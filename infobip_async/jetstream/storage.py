"""A JetStream stream of pushes as the storage under a journal."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.lease import Lease
from infobip_async.jetstream.suspects import SuspectPushes
from infobip_async.journal.base import WHOLE_PUSH, EventState, RowDigests, State, StoredPush
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.redaction import SparseLogger

CONSUMER: Final = "handlers"
"""The durable consumer that all workers of a journal share."""

_MAX_WAITING: Final = 512  # pushes that the journal's worker has not taken yet
_MAX_IN_HAND: Final = 50_000  # pushes, of all workers together
_TIMES_WITH_OTHERS: Final = 2  # that a push is given out before its events are handled alone
_RESERVED_OCTETS: Final = 64 * 1024  # for headers: the numbers of 10,000 events find room there

_logger = logging.getLogger("infobip_async.jetstream")


@attrs.define
class NatsStorage:
    """See `infobip_async.journal.base.Storage`.

    What became of an event is in memory until all events of its push are done with. If this
    process dies before that, the broker gives the push, and all its events, to another one. After
    two such deaths, what becomes of each event of the push is on the broker, too.

    Attributes:
        connection: to the broker.
        subjects: the names of the streams.
        account: makes equal pushes of two accounts different.
        ack_wait: seconds after which the broker gives a push to another worker, unless the
            first one says that it still works on it.
        max_deliveries: times that the broker gives a push to a worker. Then it is a dead letter,
            since it may be the reason why workers die.
    """

    connection: Connection
    subjects: messages.StreamSubjects
    account: str
    ack_wait: float
    max_deliveries: int
    _lease: Lease = attrs.field(init=False)
    # What is to be set aside of each push in hand: the states of its events by number.
    _set_aside: defaultdict[int, dict[int, EventState]] = attrs.field(
        init=False, factory=lambda: defaultdict(dict)
    )
    _suspects: SuspectPushes = attrs.field(init=False)
    _waiting: deque[StoredPush] = attrs.field(init=False, factory=deque)
    _arrived: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _taken: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _lines: SparseLogger = attrs.field(init=False, factory=lambda: SparseLogger(_logger))

    @_lease.default
    def _make_lease(self) -> Lease:
        return Lease(
            connection=self.connection,
            stream=self.subjects.stream,
            consumer=CONSUMER,
            subject=self.subjects.pushes,
            ack_wait=self.ack_wait,
            max_in_hand=_MAX_IN_HAND,
        )

    @_suspects.default
    def _make_suspects(self) -> SuspectPushes:
        return SuspectPushes(self.connection, self.subjects)

    # --- what a journal asks of its storage ---

    async def put(self, push: RawPush) -> None:
        """Store a push in the stream."""
        await self._put(push, messages.message_id(self.account, push))

    async def _put(
        self, push: RawPush, message_id: str, wanted: frozenset[int] = frozenset()
    ) -> None:
        payload = messages.encode(push)
        # The broker ends the connection of a client that sends more.
        if len(payload) + _RESERVED_OCTETS > self.connection.client.max_payload:
            size = f"{len(payload)} octets; see max_payload of the broker"
            raise StorageUnavailableError(f"a push is too big: {size}")
        headers = messages.headers_of(push)
        if wanted:
            headers[messages.WANTED] = messages.join_numbers(wanted)
        subject = self.subjects.push(push.kind)
        await self.connection.store(
            self.subjects.stream, subject, payload, headers=headers, message_id=message_id
        )

    async def take(self, limit: int) -> Sequence[StoredPush]:
        """Give pushes that arrived meanwhile."""
        self._arrived.clear()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._taken.set()
        return taken

    async def wait(self) -> None:
        """Wait until a push has arrived."""
        await self._arrived.wait()

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        """Give the rows that handlers may have had; the broker drops repeated pushes itself."""
        return [
            frozenset(claim.digests) if self._possibly_handled(claim.stored) else frozenset()
            for claim in claims
        ]

    def _possibly_handled(self, stored: StoredPush) -> bool:
        """Whether an inbound SMS has to be marked as a possible duplicate.

        Reports have no such mark; they are handled again.
        """
        if stored.push.kind is not PushKind.INBOUND_SMS or stored.id not in self._lease:
            return False
        return self._lease[stored.id].metadata.num_delivered > 1

    def note(self, worker: int, rows: Sequence[tuple[int, int]]) -> None:
        """Do nothing: the broker counts how often it has given out a push."""

    async def record(self, states: Sequence[EventState]) -> None:
        """Acknowledge the pushes whose events are all done with."""
        ours = [one for one in states if one.push_id in self._lease]
        await self._suspects.record(ours)
        for one in ours:
            if one.state.set_aside:
                self._set_aside[one.push_id][one.number] = one
        closed = [self._close(one.push_id) for one in ours if one.closes]
        outcomes = await asyncio.gather(*closed, return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _close(self, sequence: int) -> None:
        """Store what is to be set aside, and only then acknowledge the push."""
        by_number = self._set_aside.get(sequence, {})
        for state in (State.DEAD, State.QUARANTINED):
            if several := [one for one in by_number.values() if one.state is state]:
                await self._store_set_aside(self._lease[sequence], state, several)
        await self._lease.acknowledge(sequence)
        self._set_aside.pop(sequence, None)
        self._suspects.remove(sequence)

    async def _store_set_aside(
        self, message: Msg, state: State, events: Sequence[EventState]
    ) -> None:
        numbers = messages.join_numbers(one.number for one in events)
        push = _push(message)
        headers = {
            **messages.headers_of(push),
            messages.WANTED: numbers,
            messages.ATTEMPTS: str(events[0].attempts),
            messages.REASON: messages.one_line(events[0].reason),
            messages.AT: repr(events[0].at),
        }
        await self.connection.store(
            self.subjects.set_aside_stream,
            self.subjects.set_aside(state.value, push.kind.value),
            message.data,
            headers=headers,
            message_id=f"{_sequence(message)} {state.value} {numbers}",
        )

    # --- the rest ---

    async def put_back(self, push: RawPush, wanted: frozenset[int], sequence: int) -> None:
        """Store a push again, so that events of it which were set aside are handled.

        Args:
            push: the push.
            wanted: the numbers of these events.
            sequence: of the message in the stream of what is set aside.
        """
        await self._put(push, f"again {sequence} {messages.join_numbers(wanted)}", wanted)

    async def arrival(self, sequence: int) -> float | None:
        """When the first push from a sequence number on arrived; None where there is none."""
        stream, pushes = self.subjects.stream, self.subjects.pushes
        try:
            first = await self.connection.call(
                lambda js: js.get_msg(stream, seq=sequence, subject=pushes, next=True)
            )
        except NotFoundError:
            return None
        return None if first.time is None else first.time.timestamp()

    async def declare(self) -> None:
        """Create the consumer that all workers share, if it is missing."""
        await self._lease.declare()

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        """Take pushes in hand, and give back in the end what is not done with."""
        try:
            async with self._lease.open(self._handle, self._capacity):
                yield
        finally:
            self._waiting.clear()
            self._set_aside.clear()
            self._suspects.clear()

    async def _capacity(self) -> int:
        while len(self._waiting) > _MAX_WAITING // 2:
            self._taken.clear()
            await self._taken.wait()
        return _MAX_WAITING - len(self._waiting)

    async def _handle(self, message: Msg) -> None:
        try:
            stored = _stored(message)
        except Exception as fault:  # noqa: BLE001 - somebody else has written it into the stream
            self._lines.error("a message of the stream is no push: %s", type(fault).__name__)
            await self._refuse(message)
            return
        if message.metadata.num_delivered > self.max_deliveries:
            await self._give_up(message)
            return
        if message.metadata.num_delivered > _TIMES_WITH_OTHERS:
            states = await self._suspects.add(message)
            # What the broker has given out again and again may have killed its workers.
            stored = attrs.evolve(stored, states=states, deaths=1)
        self._waiting.append(stored)
        self._arrived.set()

    async def _refuse(self, message: Msg) -> None:
        """Have the broker give a message to nobody any more; it stays in the stream."""
        with suppress(StorageUnavailableError):  # else it comes again
            await self.connection.publish(message.reply, b"+TERM")
        self._lease.drop(_sequence(message))

    async def _give_up(self, message: Msg) -> None:
        """Make a dead letter of a push that was given to workers too often."""
        sequence = _sequence(message)
        reason = f"given to workers {message.metadata.num_delivered - 1} times"
        self._set_aside[sequence][WHOLE_PUSH] = EventState(
            sequence, WHOLE_PUSH, State.DEAD, reason=reason, at=_push(message).received_at
        )
        await self._close(sequence)
        self._lines.error("a push is a dead letter of the journal: %s", reason)


def _sequence(message: Msg) -> int:
    return message.metadata.sequence.stream


def _push(message: Msg) -> RawPush:
    return messages.decode(message.subject, message.data, message.headers)


def _stored(message: Msg) -> StoredPush:
    wanted = messages.split_numbers((message.headers or {}).get(messages.WANTED))
    sequence = _sequence(message)
    return StoredPush(sequence, _push(message), sequence, wanted)
