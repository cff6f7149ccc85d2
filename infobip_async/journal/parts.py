"""Parts of inbound messages, kept apart until they are whole, and what is known of each."""

from collections import OrderedDict
from collections.abc import Iterable

from infobip_async.journal.base import State
from infobip_async.journal.items import Item
from infobip_async.models import InboundSms
from infobip_async.text.reassembly import Parts, Reassembler


class Joining:
    """Joins items that are parts, and remembers of which items a message was made.

    A message is only given up when all parts that arrived in its time have been seen: it is not
    handed on incomplete because one of them waits in a lane, or on the disk.

    Args:
        timeout: seconds that a message waits for its parts.
        limit: messages that may wait at the same time.
    """

    def __init__(self, timeout: float, limit: int) -> None:
        self._reassembler = Reassembler(timeout=timeout, limit=limit)
        self._waiting: dict[int, Item] = {}  # by the identity of the event
        self._coming: OrderedDict[Item, None] = OrderedDict()
        self._time = 0.0

    def expect(self, item: Item) -> None:
        """Say that a part will be taken in later; parts are expected in order of arrival."""
        self._coming[item] = None

    def forget(self, item: Item) -> None:
        """Say that a part will not be taken in after all, or that a whole message is given up."""
        self._coming.pop(item, None)
        for part in item.parts:
            self._reassembler.forget(_sms(part))

    def take(self, item: Item, until: float) -> tuple[list[Item], State | None]:
        """Take a part in.

        Args:
            item: a part.
            until: up to when everything that arrived is expected, or was taken in.

        Returns:
            The messages to be handled next; and how the part stands: it is held, or done since
            it came before, or one of those messages has it.
        """
        sms = _sms(item)
        self._waiting[id(sms)] = item
        whole = self._join(self._reassembler.collect(sms, self._now(until)))
        self.forget(item)
        if id(sms) not in self._waiting:
            return whole, None
        if self._reassembler.holds(sms):
            return whole, State.HELD
        del self._waiting[id(sms)]
        return whole, State.DONE

    def give_up(self, until: float) -> list[Item]:
        """The messages that waited too long, incomplete; `until` as for `take`."""
        return self._join(self._reassembler.take_due(self._now(until)))

    def _now(self, until: float) -> float:
        oldest = next(iter(self._coming), None)
        self._time = max(self._time, until if oldest is None else oldest.arrived)
        return self._time

    def _join(self, messages: Iterable[Parts]) -> list[Item]:
        return [self._whole(parts) for parts in messages]

    def _whole(self, parts: Parts) -> Item:
        items = [self._waiting.pop(id(sms)) for sms in parts.by_number.values()]
        return Item(
            parts.join(),
            items[0].key,
            [row for item in items for row in item.rows],
            attempts=max(item.attempts for item in items),
            parts=items,
        )


def _sms(item: Item) -> InboundSms:
    assert isinstance(item.event, InboundSms)  # noqa: S101 - for the type checker
    return item.event
