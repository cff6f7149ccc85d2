"""The stream of what a journal has set aside: dead letters and quarantined events."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Iterable, Mapping

import attrs
from nats.js.errors import NotFoundError

from infobip_async.jetstream import messages
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.storage import NatsStorage
from infobip_async.journal.base import SetAside, State, place_of, set_aside_id
from infobip_async.protocol.exchange import RawPush


@attrs.frozen
class SetAsidePush:
    """Events of one push that were set aside together, as a message of the stream holds them.

    Attributes:
        sequence: of the message.
        subject: of the message.
        payload: of the message.
        headers: those of the message that are ours.
    """

    sequence: int
    subject: str
    payload: bytes
    headers: Mapping[str, str]

    @property
    def state(self) -> str:
        """What became of the events."""
        return self.subject.split(".")[1]

    @property
    def push(self) -> RawPush:
        """The push."""
        return messages.decode(self.subject, self.payload, self.headers)

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of the events."""
        return frozenset(map(int, self.headers[messages.WANTED].split(",")))

    def events(self) -> list[SetAside]:
        """The events, in the order of the push."""
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
"""What is done with some events of a push before they leave the stream."""


@attrs.define
class DeadLetters:
    """Lists the events that were set aside, and puts them back or discards them."""

    connection: Connection
    subjects: messages.StreamSubjects
    storage: NatsStorage

    async def events(self, state: State) -> AsyncGenerator[SetAside, None]:
        """Yield the events in a state, the oldest first."""
        after = 0
        subject = self.subjects.set_aside(state.value)
        while found := await self._get(after + 1, subject):
            for event in found.events():
                yield event
            after = found.sequence

    async def _get(self, sequence: int, subject: str | None = None) -> SetAsidePush | None:
        """Get a message; with a subject, the first one of that subject from there on."""
        stream, following = self.subjects.set_aside_stream, subject is not None
        try:
            message = await self.connection.call(
                lambda js: js.get_msg(stream, seq=sequence, subject=subject, next=following)
            )
        except NotFoundError:
            return None
        headers = (message.headers or {}).items()
        ours = {name: value for name, value in headers if name.startswith("Infobip-")}
        return SetAsidePush(message.seq or 0, message.subject or "", message.data or b"", ours)

    async def count(self) -> tuple[dict[str, int], int]:
        """Count the pushes with events that are set aside, by state, and the octets of all."""
        stream = self.subjects.set_aside_stream
        info = await self.connection.call(lambda js: js.stream_info(stream, subjects_filter=">"))
        counts: Counter[str] = Counter()
        for subject, number in (info.state.subjects or {}).items():
            counts[subject.split(".")[1]] += number
        return counts, info.state.bytes

    async def put_back(self, state: State, ids: Iterable[str] | None) -> int:
        """Have events handled again; see `SqliteJournal.requeue`."""

        async def again(found: SetAsidePush, numbers: frozenset[int]) -> None:
            await self.storage.put_back(found.push, numbers, found.sequence)

        return await self._decide([state], ids, again)

    async def discard(self, ids: Iterable[str] | None) -> int:
        """Delete events; see `SqliteJournal.discard`."""

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
        names = {state.value for state in states}
        return sum([await self._take_out(names, *one, decision) for one in wanted.items()])

    async def _take_out(
        self, states: Container[str], sequence: int, wanted: set[int], decision: _Decision
    ) -> int:
        """Take some events out of a message, which is replaced by one with the others."""
        found = await self._get(sequence)
        if found is None or found.state not in states:
            return 0
        taken = found.numbers & wanted
        if not taken:
            return 0
        stream = self.subjects.set_aside_stream
        # The message goes last: if this is interrupted, nothing is lost. The ids of messages
        # keep a second attempt from storing anything twice.
        if rest := found.numbers - taken:
            numbers = messages.join_numbers(rest)
            await self.connection.store(
                stream,
                found.subject,
                found.payload,
                headers={**found.headers, messages.WANTED: numbers},
                message_id=f"rest {sequence} {numbers}",
            )
        await decision(found, taken)
        await self.connection.call(lambda js: js.delete_msg(stream, sequence))
        return len(taken)
