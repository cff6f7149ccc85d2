"""Posts in a JetStream stream, as the storage under a journal."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import attrs
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import Connection, end, logger
from infobip_async.jetstream.consumers import Pull
from infobip_async.journal.base import WHOLE_PUSH, EventState, RowDigests, State, StoredPush
from infobip_async.protocol.exchange import PushKind, RawPush

CONSUMER: Final = "handlers"
"""The durable consumer that all workers share."""

_ROOM: Final = 512
_MOST_IN_WORK: Final = 50_000  # of all workers together
_RESERVED: Final = 64 * 1024  # octets for headers, in which 10,000 numbers of events find room
_BEATS: Final = 3


@attrs.define(eq=False)
class _Held:
    """A post in hand: nobody else gets it as long as the broker hears of it in time.

    Attributes:
        message: its last delivery.
        states: of its events that are to be set aside, by number.
    """

    message: Msg
    states: dict[int, EventState] = attrs.field(factory=dict)

    @property
    def sequence(self) -> int:
        return self.message.metadata.sequence.stream

    @property
    def deliveries(self) -> int:
        return self.message.metadata.num_delivered

    @property
    def push(self) -> RawPush:
        return messages.decode(self.message.subject, self.message.data, self.message.headers)

    def kept(self) -> StoredPush:
        wanted = messages.split_numbers((self.message.headers or {}).get(messages.WANTED))
        return StoredPush(self.sequence, self.push, self.sequence, wanted)


@attrs.define
class NatsStorage:
    """See `infobip_async.journal.base.Storage`.

    What became of events is in memory until all of a post are done with. A post is given to
    others when this process is gone, and then with all of its events.

    Attributes:
        broker: keeps them.
        names: what they are called there.
        account: tells equal posts of several accounts from each other.
        ack_wait: seconds after which the broker gives a post to another worker, if it hears
            nothing from the first.
        deliveries: times that a post is given to a worker before it is a dead letter, since it
            may be what they die of.
    """

    broker: Connection
    names: messages.Names
    account: str
    ack_wait: float
    deliveries: int
    _ready: deque[_Held] = attrs.field(init=False, factory=deque)
    _held: dict[int, _Held] = attrs.field(init=False, factory=dict)
    _news: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _taken: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    # --- what the seam asks for ---

    async def put(self, push: RawPush) -> None:
        """Have the broker keep a post."""
        await self._put(push, messages.message_id(self.account, push))

    async def _put(
        self, push: RawPush, message_id: str, wanted: frozenset[int] = frozenset()
    ) -> None:
        payload = messages.encode(push)
        if len(payload) + _RESERVED > self.broker.max_payload:
            size = f"{len(payload)} octets; see max_payload of the broker"
            raise StorageUnavailableError(f"a post is too big: {size}")
        headers = {messages.RECEIVED: repr(push.received_at)}
        if wanted:
            headers[messages.WANTED] = messages.join_numbers(wanted)
        subject = self.names.post(push.kind)
        await self.broker.publish(
            self.names.stream, subject, payload, headers=headers, message_id=message_id
        )

    async def take(self, limit: int) -> Sequence[StoredPush]:
        """Give posts that came meanwhile."""
        self._news.clear()
        taken = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
        self._taken.set()
        return [held.kept() for held in taken]

    async def wait(self) -> None:
        """Come back when there are some."""
        await self._news.wait()

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        """Nothing came before: the broker took each post once. But a worker may have had it."""
        return [
            frozenset(claim.digests) if self._maybe_handled(claim.stored) else frozenset()
            for claim in claims
        ]

    def _maybe_handled(self, post: StoredPush) -> bool:
        """Whether handlers are to be told so; of reports they get, it makes no difference."""
        held = self._held.get(post.id)
        inbound = post.push.kind is PushKind.INBOUND_SMS
        return inbound and held is not None and held.deliveries > 1

    async def record(self, states: Sequence[EventState]) -> None:
        """Close the posts that nothing more is to be done about."""
        for one in states:
            if one.state.set_aside and (held := self._held.get(one.push_id)):
                held.states[one.number] = one
        closed = [held for one in states if one.closes and (held := self._held.get(one.push_id))]
        outcomes = await asyncio.gather(*map(self._close, closed), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _close(self, held: _Held) -> None:
        """Keep what is to be set aside, then let the broker know that all else is done with."""
        for state in (State.DEAD, State.QUARANTINED):
            if states := [one for one in held.states.values() if one.state is state]:
                await self._set_aside(held, state, states)
        await self.broker.request(held.message.reply, b"+ACK")
        self._held.pop(held.sequence, None)

    async def _set_aside(self, held: _Held, state: State, states: Sequence[EventState]) -> None:
        numbers = messages.join_numbers(one.number for one in states)
        kind = held.push.kind.value
        headers = {
            **{k: v for k, v in (held.message.headers or {}).items() if k == messages.RECEIVED},
            messages.WANTED: numbers,
            messages.ATTEMPTS: str(states[0].attempts),
            messages.REASON: messages.one_line(states[0].reason),
            messages.AT: repr(states[0].at),
        }
        await self.broker.publish(
            self.names.kept,
            self.names.set_aside(state.value, kind),
            held.message.data,
            headers=headers,
            message_id=f"{held.sequence} {state.value} {numbers}",
        )

    # --- what is done beside that ---

    async def put_back(self, push: RawPush, wanted: frozenset[int], sequence: int) -> None:
        """Let events of a post come again that were set aside under a number."""
        await self._put(push, f"again {sequence} {messages.join_numbers(wanted)}", wanted)

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        """Take posts from the broker, and give those back in the end that were not done with."""
        pull = Pull(self.broker, self.names.stream, self.declare)
        works: list[Coroutine[Any, Any, None]] = [pull.run(self._take_in, self._room), self._beat()]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            await end(tasks)
            with suppress(StorageUnavailableError):  # then the broker misses us, and does the same
                for held in self._held.values():
                    await self.broker.tell(held.message.reply, b"-NAK")
            self._held.clear()
            self._ready.clear()

    async def declare(self) -> str:
        """Make sure of the consumer that all workers share, and give its name."""
        consumer = ConsumerConfig(
            durable_name=CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait,
            max_deliver=-1,
            max_ack_pending=_MOST_IN_WORK,
        )
        await self.broker.consumer(self.names.stream, consumer)
        return CONSUMER

    async def _room(self) -> int:
        while len(self._ready) > _ROOM // 2:
            self._taken.clear()
            await self._taken.wait()
        return _ROOM - len(self._ready)

    async def _take_in(self, message: Msg) -> None:
        held = _Held(message)
        if known := self._held.get(held.sequence):
            known.message = message  # the broker has not heard of it for long, but it is in work
            return
        self._held[held.sequence] = held
        if held.deliveries > self.deliveries:
            await self._give_up(held)
            return
        self._ready.append(held)
        self._news.set()

    async def _give_up(self, held: _Held) -> None:
        reason = f"given to workers {held.deliveries - 1} times"
        at = held.push.received_at
        held.states[WHOLE_PUSH] = EventState(
            held.sequence, WHOLE_PUSH, State.DEAD, reason=reason, at=at
        )
        try:
            await self._close(held)
            logger.error("a post is a dead letter of the journal: %s", reason)
        except StorageUnavailableError:
            self._held.pop(held.sequence)  # it comes again

    async def _beat(self) -> None:
        """Let the broker know, again and again, that what is in hand is in work."""
        while True:
            await asyncio.sleep(self.ack_wait / _BEATS)
            with suppress(StorageUnavailableError):
                for held in tuple(self._held.values()):
                    await self.broker.tell(held.message.reply, b"+WPI")
