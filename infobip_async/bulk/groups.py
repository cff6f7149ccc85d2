"""Which items go into which request."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from infobip_async.bulk.items import Outgoing
from infobip_async.models.messages import Message, Recipient, recipient_of
from infobip_async.numbering.msisdn import check_destination
from infobip_async.text.segments import preview

OPEN_GROUPS: Final = 16
"""Requests that are being filled at the same time. With more messages than that, few items find
others to share with, and the group that waits longest goes out as it is."""

Key = str | int
"""What tells an item from others: a key of the caller's, or its position in the source."""


class MessageIds(Protocol):
    """What knows the ids of messages."""

    def make_message_id(self) -> str:
        """A new message id."""

    def message_ids(self, message: Message, message_id: str, /) -> tuple[str, ...]:
        """What delivery reports name of a message that is sent under an id.

        Raises:
            LocalProtocolError: the message breaks a rule of the document.
        """


@attrs.frozen
class Entry:
    """An item on its way.

    Attributes:
        item: as it was given.
        key: tells the item from others.
        recipient: the number, and the message id that the item is sent under.
        message_ids: the ids that delivery reports will name.
    """

    item: Outgoing
    key: Key
    recipient: Recipient
    message_ids: tuple[str, ...]


@attrs.define(eq=False)
class Group:
    """Items that share a request.

    Attributes:
        message: theirs.
        parts: parts of the message, which count towards the rate.
        suffixes: are appended to an item's message id, one for each request that carries it.
        most: items that the group takes.
        entries: the items, in order.
        timer: closes the group when its items have waited long enough.
    """

    message: Message
    parts: int
    suffixes: tuple[str, ...]
    most: int
    entries: list[Entry] = attrs.field(factory=list, init=False)
    _numbers: set[str] = attrs.field(factory=set, init=False)
    timer: asyncio.TimerHandle = attrs.field(init=False)

    @property
    def full(self) -> bool:
        """Whether the group takes no more items."""
        return len(self.entries) >= self.most

    def has(self, msisdn: str) -> bool:
        """Whether there is an item to a number."""
        return msisdn in self._numbers

    def add(self, item: Outgoing, key: Key, recipient: Recipient) -> None:
        """Put an item behind the others."""
        ids = tuple(f"{recipient.message_id}{suffix}" for suffix in self.suffixes)
        self.entries.append(Entry(item, key, recipient, ids))
        self._numbers.add(recipient.msisdn)


class Groups:
    """The requests that are being filled, one for each message.

    Args:
        names: knows the ids of messages.
        send: is given each group when it is full, or has waited long enough.
        batch_size: items of a request, at most.
        batch_age: seconds that an item waits for others to share its request.
        most_parts: parts of a request, at most, but for one item that has more; None where nobody
            counts parts.
    """

    def __init__(
        self,
        names: MessageIds,
        send: Callable[[Group], None],
        *,
        batch_size: int,
        batch_age: float,
        most_parts: int | None,
    ) -> None:
        self._names = names
        self._send = send
        self._batch_size = batch_size
        self._batch_age = batch_age
        self._most_parts = most_parts
        self._open: dict[Message, Group] = {}

    def add(self, item: Outgoing, key: Key) -> None:
        """Put an item into the request of its message.

        Raises:
            LocalProtocolError: the number or the message breaks a rule of the document.
        """
        recipient = recipient_of(item.recipient)
        check_destination(recipient.msisdn)
        if not recipient.message_id:
            recipient = Recipient(recipient.msisdn, self._names.make_message_id())
        group = self._open.get(item.message)
        if group is not None and group.has(recipient.msisdn):
            self._close(group)  # "duplicate numbers in one post request will be filtered" (§2/1)
            group = None
        group = group or self._new(item.message)
        group.add(item, key, recipient)
        if group.full:
            self._close(group)

    def _new(self, message: Message) -> Group:
        suffixes = self._names.message_ids(message, "")
        parts, most = 1, self._batch_size
        if self._most_parts is not None:
            parts = len(preview(message).parts)
            most = max(1, min(most, self._most_parts // parts))
        group = Group(message, parts, suffixes, most)
        if len(self._open) >= OPEN_GROUPS:
            self._close(next(iter(self._open.values())))
        self._open[message] = group
        loop = asyncio.get_running_loop()
        group.timer = loop.call_later(self._batch_age, self._close, group)
        return group

    def _close(self, group: Group) -> None:
        group.timer.cancel()
        del self._open[group.message]
        self._send(group)

    def close(self) -> None:
        """Send all of them as they are."""
        for group in tuple(self._open.values()):
            self._close(group)
