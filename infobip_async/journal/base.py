"""What a receiver asks of a journal, and what a journal asks of the storage under it.

A journal stores pushes in the form in which they arrived, so that a fault of a parser costs a
replay and not a report. An event is identified by its push and by its number in the push, from 0.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Final, Protocol, runtime_checkable

import attrs

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models.events import Event
from infobip_async.protocol.exchange import RawPush
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router

Decode = Callable[[RawPush], Sequence[Event]]
"""Reads the events of a push, in order; raises `RemoteProtocolError` if it cannot be read."""

WHOLE_PUSH: Final = -1
"""The number that stands for all of a push that could not be read."""

DEDUP_WINDOW: Final = 26 * 3600.0
"""Seconds within which equal rows are repeated: the gateway tries for some 24 hours (§3.1)."""

_SET_ASIDE_ID: Final = re.compile("([0-9]{1,18})(?::([0-9]{1,9}))?")


class Journal(Protocol):
    """Where accepted pushes are stored until they are handled."""

    async def put(self, push: RawPush) -> None:
        """Store a push; it is durable on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: the push is not stored, and must not be acknowledged.
        """

    def serve(self, router: Router, decode: Decode) -> AbstractAsyncContextManager[None]:
        """Open the journal, and hand stored pushes to the router until the context is left.

        Leaving it lets handlers in flight finish, within a limit; the rest stays in the journal.

        Args:
            router: where the events go.
            decode: reads a push.
        """


class State(Enum):
    """What became of an event so far. An event without a state was not handled yet."""

    FAILED = "failed"
    """Its handlers failed, or its process died while they ran; they will be tried again."""
    HELD = "held"
    """A part of a message: its per-part handlers have run; it waits for the other parts."""
    DONE = "done"
    DEAD = "dead"
    """Its handlers failed, or its process died, too often; they are not tried again."""
    QUARANTINED = "quarantined"
    """It could not be read."""

    def __init__(self, name: str) -> None:
        self.final: Final = name not in {"failed", "held"}
        """Whether the journal does nothing more about the event."""
        self.set_aside: Final = name in {"dead", "quarantined"}
        """Whether the event stays in the journal until somebody decides about it."""


@attrs.frozen
class EventState:
    """What became of an event.

    Attributes:
        push_id: the id of its push.
        number: its number in the push, or `WHOLE_PUSH`.
        state: what became of it.
        attempts: how often its handlers were tried.
        reason: why, in words; not for logs, since handlers may quote what they got.
        at: when, in seconds since the epoch.
        closes: every event of the push has a final state now.
        deaths: how often its process died while its handlers ran: above 0 it is a suspect, and is
            handled alone; from 2 on it was alone.
    """

    push_id: int
    number: int
    state: State
    attempts: int = 0
    reason: str = ""
    at: float = 0.0
    closes: bool = False
    deaths: int = 0


@attrs.frozen
class StoredPush:
    """A push in the journal.

    Attributes:
        id: identifies it; ids grow in the order of arrival.
        push: the push as it arrived.
        origin: the id under which its rows came first. It differs from `id` if events of the push
            were put back to be handled again.
        wanted: the numbers of the events to handle; None for all.
        states: what became of its events so far, by number.
        deaths: as of an `EventState`, for events without a state.
    """

    id: int
    push: RawPush
    origin: int
    wanted: frozenset[int] | None = None
    states: Mapping[int, EventState] = attrs.field(factory=dict)
    deaths: int = 0

    @property
    def suspects(self) -> Sequence[str]:
        """The ids of its events that were being handled when a process died."""
        known = self.states.values()
        return [set_aside_id(self.id, one.number) for one in known if one.deaths]

    def wants(self, number: int) -> bool:
        """Whether an event is still to be handled."""
        known = self.states.get(number)
        wanted = self.wanted is None or number == WHOLE_PUSH or number in self.wanted
        return wanted and not (known and known.state.final)


@attrs.frozen
class SetAside:
    """An event that waits for somebody's decision.

    Attributes:
        id: names it when it is put back: the id of its push and, unless the push as a whole could
            not be read, its number.
        push: the push that brought it; None if what the file has of it makes no push.
        number: its number in the push, or `WHOLE_PUSH`.
        attempts: how often its handlers were tried.
        reason: why it was set aside; it may quote the event.
        at: since when, in seconds since the epoch.
    """

    id: str
    push: RawPush | None
    number: int
    attempts: int
    reason: str
    at: float

    def read(self) -> Event | None:
        """Read the event from its push, in the format of the document's examples.

        Returns:
            The event; None if it cannot be read, or if the push as a whole could not be read.
        """
        if self.number == WHOLE_PUSH or self.push is None:
            return None
        try:
            return decode(self.push, PushFormat())[self.number]
        except (RemoteProtocolError, IndexError):
            return None


@attrs.frozen(kw_only=True)
class JournalCounts:
    """What is in a journal.

    Attributes:
        waiting: pushes with events that wait, are being handled, or are to be tried again.
        oldest: when the first of these arrived, in seconds since the epoch; None without any.
        in_work: events that handlers have now, as far as is known.
        dead: dead letters.
        quarantined: pushes, and rows of pushes, that could not be read.
        octets: what the journal takes on disk.
    """

    waiting: int
    oldest: float | None
    in_work: int = 0
    dead: int
    quarantined: int
    octets: int


@runtime_checkable
class Counted(Protocol):
    """A journal that can be asked for what waits in it."""

    async def counts(self) -> JournalCounts:
        """Count what is in the journal.

        Raises:
            StorageUnavailableError: the journal cannot be read.
        """


def set_aside_id(push_id: int, number: int) -> str:
    """Make the id of an event that is set aside."""
    return str(push_id) if number == WHOLE_PUSH else f"{push_id}:{number}"


def place_of(set_aside: str) -> tuple[int, int]:
    """Read the push and the number from the id of an event that is set aside.

    Raises:
        LocalProtocolError: no event can have this id.
    """
    match = _SET_ASIDE_ID.fullmatch(set_aside)
    if match is None:
        raise LocalProtocolError(f"{set_aside!r} is no id of the journal", field="ids")
    return int(match[1]), WHOLE_PUSH if match[2] is None else int(match[2])


@attrs.frozen
class RowDigests:
    """The digests of the rows of a push, by which repeated rows are found."""

    stored: StoredPush
    digests: Mapping[int, bytes]


class Storage(Protocol):
    """What a journal's worker asks of the storage under it.

    All methods but `wait` and `note` may raise `StorageUnavailableError`.
    """

    async def take(self, limit: int) -> Sequence[StoredPush]:
        """Give the next pushes that are not closed, in order of arrival, each once.

        Args:
            limit: most pushes to give. Fewer may come; none comes only if there is none.
        """

    async def wait(self) -> None:
        """Return when `take` may have something to give."""

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        """Remember rows: the first push that brings a row owns it.

        Asking twice gives the same answer.

        Returns:
            For each claim the numbers of the rows that another push brought before, within the
            journal's `dedup_window`.
        """

    def note(self, worker: int, rows: Sequence[tuple[int, int]]) -> None:
        """Note which events a worker hands to its handlers; none when these have ended.

        The note has to outlive the process, not the machine, and costs next to nothing. Events
        that have one when the process dies come with `EventState.deaths`. It never raises.

        Args:
            worker: its number, from 0; up to four times `HandlerSettings.concurrency` are in use.
            rows: the push and the number of each event.
        """

    async def record(self, states: Sequence[EventState]) -> None:
        """Write states down, and forget closed pushes, except events that are set aside."""
