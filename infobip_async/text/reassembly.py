"""Joining the parts of inbound messages (3GPP TS 23.040 clause 9.2.3.24.1)."""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import groupby
from typing import Final

import attrs

from infobip_async.models import InboundSms
from infobip_async.text import data_coding, udh

_Key = tuple[str, str | None, int, int, int]


@attrs.define
class Parts:
    """The parts of one message that have come.

    Attributes:
        total: how many it was sent in.
        deadline: until when it is waited for, or remembered.
        by_number: the parts, the very objects that were taken in.
    """

    total: int
    deadline: float
    by_number: dict[int, InboundSms] = attrs.field(factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of those that have not."""
        return tuple(n for n in range(1, self.total + 1) if n not in self.by_number)

    def join(self) -> InboundSms:
        """Make one message of what has come."""
        return _join(self)

    def repeats(self, number: int, sms: InboundSms) -> bool:
        """Whether the same part has come before, with the same content."""
        earlier = self.by_number.get(number)
        return earlier is not None and (earlier.data, earlier.text) == (sms.data, sms.text)


class Reassembler:
    """Joins parts into whole messages, bounded in number and in time.

    Parts belong together when sender, receiver, reference, its width, and the total agree; they
    may come in any order. A part that came before is ignored, also for some time after its
    message was whole; one with the number of another but a different content begins a new
    message, since senders use references again.

    There is no clock inside: `now` is in seconds, of any clock that does not go back.

    Args:
        timeout: the seconds that a message may wait for its parts after the first that came, and
            that a whole one is remembered for.
        limit: the number of messages that may wait at the same time; the oldest is handed on
            incomplete when there would be more.
    """

    def __init__(self, *, timeout: float = 3600.0, limit: int = 10_000) -> None:
        self.timeout: Final = timeout
        self.limit: Final = limit
        # Both are in the order of their deadlines, since all wait for the same time.
        self._waiting: OrderedDict[_Key, Parts] = OrderedDict()
        self._whole: OrderedDict[_Key, Parts] = OrderedDict()

    @property
    def deadline(self) -> float | None:
        """When the next waiting message is due to be handed on incomplete; None if none waits."""
        return next((parts.deadline for parts in self._waiting.values()), None)

    def add(self, sms: InboundSms, now: float) -> tuple[InboundSms, ...]:
        """Take a message in.

        Returns:
            What is to be handed on now: the message itself if it is no part, or the whole one
            that it completes; before it, messages that became due, or had to make room, with the
            numbers of their `missing` parts.
        """
        joined = tuple(map(_join, self.collect(sms, now)))
        return joined if _place(sms) else (*joined, sms)

    def collect(self, sms: InboundSms, now: float) -> tuple[Parts, ...]:
        """Take a part in as `add` does, for a caller who keeps the parts himself.

        Returns:
            The messages to be handed on now, as parts to be joined; of one that is no part
            nothing.
        """
        due = self.take_due(now)
        place = _place(sms)
        if place is None:
            return due
        key, number = place
        seen = self._waiting.get(key) or self._whole.get(key)
        if seen is not None and seen.repeats(number, sms):
            return due
        return (*due, *self._take(key, number, sms, now))

    def holds(self, part: InboundSms) -> bool:
        """Whether this very part waits for others; not one that is merely equal."""
        place = _place(part)
        parts = self._waiting.get(place[0]) if place else None
        return place is not None and parts is not None and parts.by_number.get(place[1]) is part

    def forget(self, part: InboundSms) -> None:
        """Let the parts of a whole message come again: this one was among them, and it is lost."""
        place = _place(part)
        whole = self._whole.get(place[0]) if place else None
        if place and whole and whole.by_number.get(place[1]) is part:
            del self._whole[place[0]]

    def _take(self, key: _Key, number: int, sms: InboundSms, now: float) -> Iterable[Parts]:
        if key in self._waiting and number in self._waiting[key].by_number:
            yield self._waiting.pop(key)
        parts = self._waiting.setdefault(key, Parts(key[-1], now + self.timeout))
        parts.by_number[number] = sms
        if len(parts.by_number) == parts.total:
            self._remember(key, now)
            yield parts
        elif len(self._waiting) > self.limit:
            yield self._waiting.popitem(last=False)[1]

    def _remember(self, key: _Key, now: float) -> None:
        self._whole.pop(key, None)
        self._whole[key] = parts = self._waiting.pop(key)
        parts.deadline = now + self.timeout
        if len(self._whole) > self.limit:
            self._whole.popitem(last=False)

    def withdraw(self, sms: InboundSms, now: float) -> None:
        """Take back the part that made a message whole, because that could not be handled.

        The other parts wait again, so that the message is whole once more when the gateway
        repeats this part.
        """
        place = _place(sms)
        if place is None:
            return
        key, number = place
        parts = self._whole.get(key)
        if parts is None or key in self._waiting or not parts.repeats(number, sms):
            return
        del self._whole[key], parts.by_number[number]
        if parts.by_number:
            parts.deadline = now + self.timeout
            self._waiting[key] = parts

    def keep(self, parts: Parts, now: float) -> None:
        """Let an incomplete message wait once more, because it could not be handled.

        Where others with its key have come meanwhile, or too many wait, it is lost.
        """
        place = _place(next(iter(parts.by_number.values())))
        if place and place[0] not in self._waiting and len(self._waiting) < self.limit:
            parts.deadline = now + self.timeout
            self._waiting[place[0]] = parts

    def expire(self, now: float) -> tuple[InboundSms, ...]:
        """Hand on the messages whose time is up, incomplete, with their `missing` numbers."""
        return tuple(map(_join, self.take_due(now)))

    def take_due(self, now: float) -> tuple[Parts, ...]:
        """Hand on the messages whose time is up as `expire` does, as parts to be joined."""
        _pop_due(self._whole, now)
        return tuple(_pop_due(self._waiting, now))

    def flush(self) -> tuple[InboundSms, ...]:
        """Hand on all messages that wait, incomplete, and forget everything."""
        waiting = tuple(_join(parts) for parts in self._waiting.values())
        self._waiting.clear()
        self._whole.clear()
        return waiting


def is_part(sms: InboundSms) -> bool:
    """Whether a message is one of the parts that make a longer one."""
    return _place(sms) is not None


def _place(sms: InboundSms) -> tuple[_Key, int] | None:
    """Which message a part belongs to, and its number there; None if it is no part."""
    part = udh.concatenation_of(sms.udh) if sms.udh else None
    if part is None:
        return None
    return (sms.sender, sms.receiver, part.reference, part.width, part.total), part.number


def _pop_due(messages: OrderedDict[_Key, Parts], now: float) -> list[Parts]:
    due = []
    while messages and next(iter(messages.values())).deadline <= now:
        due.append(messages.popitem(last=False)[1])
    return due


def _join(parts: Parts) -> InboundSms:
    """One message of the parts that have come."""
    numbered = sorted(parts.by_number.items())
    ordered = [sms for _, sms in numbered]
    runs = [[sms for _, (_, sms) in run] for _, run in groupby(enumerate(numbered), _run_of)]
    decoded = [_decode(run) for run in runs]
    texts = [text for text, _ in decoded if text is not None]
    octets = [sms.data for sms in ordered if sms.data is not None]
    header = ordered[0].udh
    return attrs.evolve(
        ordered[0],
        text="".join(texts) if len(texts) == len(runs) else None,
        data=b"".join(octets) if len(octets) == len(ordered) else None,
        damaged=any(damaged for _, damaged in decoded),
        udh=udh.without_concatenation(header) if header else None,
        parts=parts.total,
        missing=parts.missing,
    )


def _run_of(item: tuple[int, tuple[int, InboundSms]]) -> tuple[object, ...]:
    """Equal for parts that follow each other without a gap and are coded alike.

    Their octets are decoded as one, since a peer may cut a character in two.
    """
    index, (number, sms) = item
    return number - index, sms.data is None, sms.data_coding, data_coding.shifts(sms.udh)


def _decode(run: list[InboundSms]) -> tuple[str | None, bool]:
    first = run[0]
    if first.data is None:
        return "".join(sms.text or "" for sms in run), any(sms.damaged for sms in run)
    octets = b"".join(sms.data or b"" for sms in run)
    return data_coding.decode(octets, first.data_coding, first.udh)
