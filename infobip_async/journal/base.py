"""What a receiver asks of a journal, and what a journal asks of the storage under it.

A journal takes posts in the form in which they arrived, so that a fault of a parser costs a
replay and not a report. Events are told by the post and by their number in it, from 0.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Final, Protocol

import attrs

from infobip_async.models import Event
from infobip_async.protocol.exchange import RawPush
from infobip_async.router import Router

Decode = Callable[[RawPush], Sequence[Event]]
"""Reads the events of a push, in order; raises `RemoteProtocolError` where it cannot be read."""

WHOLE_POST: Final = -1
"""The number that stands for all of a post that could not be read."""


class Journal(Protocol):
    """Where accepted posts are kept until they are handled."""

    async def put(self, push: RawPush) -> None:
        """Keep a post; it is durable on return, and may be acknowledged.

        Raises:
            StorageUnavailableError: nothing was kept; the post must not be acknowledged.
        """

    def serve(self, router: Router, decode: Decode) -> AbstractAsyncContextManager[None]:
        """Open the journal, and hand what it keeps to the router until the context is left.

        Leaving it lets handlers in flight finish, within a limit; the rest stays in the journal.
        """


class State(Enum):
    """What became of an event so far. Without a mark, it waits to be handled first."""

    FAILED = "failed"
    """It is to be tried again."""
    HELD = "held"
    """A part of a message that waits for the others; the handlers of parts are done with it."""
    DONE = "done"
    DEAD = "dead"
    """Its handlers failed so often that they are not tried any more."""
    QUARANTINED = "quarantined"
    """It could not be read."""

    @property
    def final(self) -> bool:
        """Whether there is nothing more to do about it."""
        return self is not State.FAILED and self is not State.HELD

    @property
    def kept(self) -> bool:
        """Whether it stays in the journal until somebody decides about it."""
        return self is State.DEAD or self is State.QUARANTINED


@attrs.frozen
class EventState:
    """What became of an event.

    Attributes:
        post: the post that brought it.
        number: its number there, or `WHOLE_POST`.
        state: how it stands.
        attempts: times that its handlers were tried.
        reason: why, in words; not for logs, since handlers may quote what they got.
        at: when, in seconds since the epoch.
        closes: nothing more is to be done about any event of the post.
    """

    post: int
    number: int
    state: State
    attempts: int = 0
    reason: str = ""
    at: float = 0.0
    closes: bool = False


@attrs.frozen
class StoredPush:
    """A post that is kept.

    Attributes:
        id: by which it is told from others; the order of ids is that of arrival.
        push: as it arrived.
        origin: the id under which its rows came first, where it was put back.
        wanted: the numbers of the events to handle; None for all.
        marks: what became of its events so far, by number.
    """

    id: int
    push: RawPush
    origin: int
    wanted: frozenset[int] | None = None
    marks: Mapping[int, EventState] = attrs.field(factory=dict)

    def wants(self, number: int) -> bool:
        """Whether an event is still to be handled."""
        mark = self.marks.get(number)
        wanted = self.wanted is None or number == WHOLE_POST or number in self.wanted
        return wanted and not (mark and mark.state.final)


@attrs.frozen
class RowDigests:
    """The rows of a post, to be told from those that came before.

    Attributes:
        post: the post.
        digests: the digest of each row by its number.
    """

    post: StoredPush
    digests: Mapping[int, str]


class Storage(Protocol):
    """The engine under a journal, whichever it is.

    All but `wait` may raise `StorageUnavailableError`.
    """

    async def put(self, push: RawPush) -> None:
        """Keep a post; it is durable on return."""

    async def take(self, limit: int) -> Sequence[StoredPush]:
        """Give the next posts that are not closed, in order of arrival, each once.

        Args:
            limit: the number of posts at the most; there may be fewer, and none only where
                there is nothing to give.
        """

    async def wait(self) -> None:
        """Come back when `take` may have something to give."""

    async def claim(self, claims: Sequence[RowDigests]) -> Sequence[frozenset[int]]:
        """Remember rows, each as one of the first post that brought it.

        Asking twice gives the same answer.

        Returns:
            For each claim the numbers of the rows that another post brought before, within the
            time that rows are remembered for.
        """

    async def settle(self, marks: Sequence[EventState]) -> None:
        """Write marks down, and forget posts that are closed, but for events that are kept."""
