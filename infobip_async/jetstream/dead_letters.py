"""What a journal in JetStream has set aside: dead letters, and what could not be read."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Iterable

import attrs
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.storage import NatsStorage
from infobip_async.journal.base import SetAside, State, place_of, set_aside_id
from infobip_async.protocol.exchange import RawPush


@attrs.frozen
class SetAsidePush:
    """Events of one post that are set aside together.

    Attributes:
        sequence: the number of the message that holds them.
        message: that message.
    """

    sequence: int
    message: RawStreamMsg

    @property
    def subject(self) -> str:
        """The subject of its message."""
        return self.message.subject or ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its message."""
        return self.message.headers or {}

    @property
    def push(self) -> RawPush:
        """The push."""
        return messages.decode(self.subject, self.message.data or b"", self.headers)

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of its events that were set aside."""
        return frozenset(map(int, self.headers[messages.WANTED].split(",")))

    def events(self) -> list[SetAside]:
        """The events that were set aside."""
        headers, push = self.headers, self.push
        return [
            SetAside(
                set_aside_id(self.sequence, number),
                push,
                number,
                int(headers[messages.ATTEMPTS]),
                headers.get(messages.REASON, ""),
                float(headers[messages.AT]),
            )
            for number in sorted(self.numbers)
        ]


_Decision = Callable[[SetAsidePush, frozenset[int]], Awaitable[None]]
"""What is done to some events of a post before they leave the shelf."""


@attrs.define
class DeadLetters:
    """Looks into what is set aside, puts it back, or forgets it.

    Attributes:
        broker: keeps it.
        names: what it is called there.
        storage: takes what is put back.
    """

    broker: Connection
    names: messages.Names
    storage: NatsStorage

    async def events(self, state: State) -> AsyncGenerator[SetAside, None]:
        """The events in a state, in the order in which they got there."""
        after = 0
        subject = self.names.set_aside(state.value, "*")
        while kept := await self._get(after + 1, subject):
            for event in kept.events():
                yield event
            after = kept.sequence

    async def _get(self, sequence: int, subject: str | None = None) -> SetAsidePush | None:
        """A message; with a subject, the next one of that from there."""
        try:
            message: RawStreamMsg = await self.broker.manage(
                lambda js: js.get_msg(
                    self.names.kept, seq=sequence, subject=subject, next=subject is not None
                )
            )
        except NotFoundError:
            return None
        return SetAsidePush(message.seq or 0, message)

    async def put_back(self, state: State, ids: Iterable[str] | None) -> int:
        """Have events handled again; as `SqliteJournal.requeue`."""

        async def again(kept: SetAsidePush, numbers: frozenset[int]) -> None:
            await self.storage.put_back(kept.push, numbers, kept.sequence)

        return await self._decide([state], ids, again)

    async def discard(self, ids: Iterable[str] | None) -> int:
        """Forget events; as `SqliteJournal.discard`."""

        async def nothing(_: SetAsidePush, __: frozenset[int]) -> None: ...

        return await self._decide([state for state in State if state.set_aside], ids, nothing)

    async def _decide(
        self, states: Iterable[State], ids: Iterable[str] | None, decision: _Decision
    ) -> int:
        if ids is None:
            ids = [event.id for state in states async for event in self.events(state)]
        wanted: defaultdict[int, set[int]] = defaultdict(set)
        for one in ids:
            sequence, number = place_of(one)
            wanted[sequence].add(number)
        several = {state.value for state in states}
        return sum([await self._take_out(several, *one, decision) for one in wanted.items()])

    async def _take_out(
        self, states: Container[str], sequence: int, wanted: set[int], decision: _Decision
    ) -> int:
        kept = await self._get(sequence)
        if kept is None or kept.subject.split(".")[1] not in states:
            return 0
        found = kept.numbers & wanted
        if not found:
            return 0
        if rest := kept.numbers - found:
            numbers = messages.join_numbers(rest)
            await self.broker.publish(
                self.names.kept,
                kept.subject,
                kept.message.data or b"",
                headers={k: v for k, v in kept.headers.items() if k.startswith("Infobip-")}
                | {messages.WANTED: numbers},
                message_id=f"rest {sequence} {numbers}",
            )
        await decision(kept, found)
        await self.broker.manage(lambda js: js.delete_msg(self.names.kept, sequence))
        return len(found)
