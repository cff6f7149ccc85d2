"""What became of the events of pushes that workers may have died of, kept on the broker.

::

    subject  <stream>.suspects.17_1700000000250000    the number of the push, and when it arrived
    payload  {"done": "1f7", "tried": {"3": [2, 0]}}

``done`` has a bit for each event, in hexadecimal digits, which is set if the event was handled.
``tried`` has two figures of the other events that a worker had alone: how often it died, or will
have died if it dies now, and how often their handlers were tried. Dead letters and unreadable rows
are not done here: they are set aside with their push, and worked out again if that does not happen.

Pushes are here from the third time on that the broker gives them out. All others cost nothing.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from nats.aio.msg import Msg

from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.messages import StreamSubjects
from infobip_async.journal.base import EventState, State

SECONDS_KEPT: Final = 7 * 24 * 3600.0
"""The broker forgets what became of the events of a push when this is so old."""


@attrs.define
class _Progress:
    """What became of the events of one push.

    Attributes:
        subject: of the message that says so.
        done: the bits of the events that were handled.
        tried: the deaths and the attempts of others, by number.
    """

    subject: str
    done: int = 0
    tried: dict[int, tuple[int, int]] = attrs.field(factory=dict)

    def add(self, state: EventState) -> None:
        if state.state is State.DONE:
            self.done |= 1 << state.number
            self.tried.pop(state.number, None)
        elif not state.state.final:
            self.tried[state.number] = state.deaths, state.attempts

    def encode(self) -> bytes:
        return json.dumps({"done": f"{self.done:x}", "tried": self.tried}).encode()

    def read(self, payload: bytes) -> None:
        value = json.loads(payload)
        self.done = int(value["done"], 16)
        self.tried = {int(number): (one[0], one[1]) for number, one in value["tried"].items()}

    def states(self, push_id: int) -> dict[int, EventState]:
        states = {
            number: EventState(push_id, number, State.FAILED, attempts, deaths=deaths)
            for number, (deaths, attempts) in self.tried.items()
        }
        for number in range(self.done.bit_length()):
            if self.done >> number & 1:
                states[number] = EventState(push_id, number, State.DONE)
        return states


@attrs.define
class SuspectPushes:
    """The pushes that this process has in hand, and that workers may have died of.

    Attributes:
        connection: to the broker.
        subjects: the names of the streams.
    """

    connection: Connection
    subjects: StreamSubjects
    _pushes: dict[int, _Progress] = attrs.field(init=False, factory=dict)

    async def add(self, message: Msg) -> Mapping[int, EventState]:
        """Add a push, and give what became of its events so far, by number.

        Raises:
            StorageUnavailableError: the broker did not say.
        """
        sequence, timestamp = message.metadata.sequence.stream, message.metadata.timestamp
        # The time tells the push from one of a stream that was made anew.
        name = f"{sequence}_{round(timestamp.timestamp() * 1_000_000)}"
        progress = _Progress(self.subjects.suspect(name))
        found = await self.connection.last_message(self.subjects.suspects_stream, progress.subject)
        if found is not None:
            progress.read(found.data)
        self._pushes[sequence] = progress
        return progress.states(sequence)

    async def record(self, states: Sequence[EventState]) -> None:
        """Store what became of events, unless their pushes are done with thereby.

        Raises:
            StorageUnavailableError: the broker did not confirm.
        """
        changed = {}
        for one in states:
            if (progress := self._pushes.get(one.push_id)) is not None:
                progress.add(one)
                changed[one.push_id] = progress
        for closed in (one.push_id for one in states if one.closes):
            changed.pop(closed, None)
        for progress in changed.values():
            stream, payload = self.subjects.suspects_stream, progress.encode()
            await self.connection.store(stream, progress.subject, payload)

    def remove(self, sequence: int) -> None:
        """Forget a push that is done with; the broker does so later."""
        self._pushes.pop(sequence, None)

    def clear(self) -> None:
        """Forget all pushes, but not what the broker has of them."""
        self._pushes.clear()
