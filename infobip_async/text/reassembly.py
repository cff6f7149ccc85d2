"""Joining the parts of inbound messages (3GPP TS 23.040 clause 9.2.3.24.1)."""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import groupby
from typing import Final
from urllib.parse import urlencode

import attrs

from infobip_async.models.events import InboundSms, UnreadableRow
from infobip_async.text import charset, data_coding, udh

_UCS_2: Final = 8

_Key = tuple[str, str | None, int, int, int]


@attrs.define
class Parts:
    """The parts of one message that have arrived.

    Attributes:
        total: the number of parts that the message was sent in.
        deadline: when the message is given up, or, once it is whole, forgotten.
        by_number: the parts by their number: the same objects that `Reassembler.collect` got.
        repeated: parts that came once more: repetitions, or the first parts of a later message.
    """

    total: int
    deadline: float
    by_number: dict[int, InboundSms] = attrs.field(factory=dict)
    repeated: dict[int, InboundSms] = attrs.field(factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the parts that have not arrived."""
        return tuple(n for n in range(1, self.total + 1) if n not in self.by_number)

    def join(self) -> InboundSms:
        """Make one message of the parts that have arrived."""
        numbered = sorted(self.by_number.items())
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
            parts=self.total,
            missing=self.missing,
        )

    def join_or_refuse(self) -> InboundSms | UnreadableRow:
        """Make one message of the parts that have arrived, whoever has written them.

        Returns:
            The message; in the place of one that trips our own code up, an unreadable row with the
            parameters of all its parts.
        """
        try:
            return self.join()
        except Exception as fault:  # noqa: BLE001 - one message must cost no other
            raw = "\n".join(urlencode(sms.params) for sms in self.by_number.values())
            return UnreadableRow(raw, f"{type(fault).__name__} while its parts were joined")

    def repeats(self, number: int, sms: InboundSms) -> bool:
        """Whether a part with this number and the same content arrived before."""
        earlier = self.by_number.get(number)
        return earlier is not None and (earlier.data, earlier.text) == (sms.data, sms.text)


class Reassembler:
    """Joins parts into whole messages, bounded in number and in time.

    Parts belong together when sender, receiver, reference, its width, and the total agree; they
    may arrive in any order. A part with the number of another one but a different content begins a
    new message, since senders use references again.

    A part that arrived before is taken for a repetition, also for some time after its message was
    whole, and kept aside: if a new message begins with the same reference meanwhile, the part
    belongs to that one.

    There is no clock inside: `now` is in seconds, of any clock that does not go back.

    Args:
        timeout: seconds that a message waits for its parts after the first one arrived, and that
            a whole message is remembered after its last part or repetition.
        limit: messages that wait at the same time; if there would be more, the oldest one is
            handed on incomplete.
    """

    def __init__(self, *, timeout: float = 3600.0, limit: int = 10_000) -> None:
        self.timeout: Final = timeout
        self.limit: Final = limit
        # Both are in the order of their deadlines, since all wait for the same time.
        self._waiting: OrderedDict[_Key, Parts] = OrderedDict()
        self._whole: OrderedDict[_Key, Parts] = OrderedDict()

    def collect(self, sms: InboundSms, now: float) -> tuple[Parts, ...]:
        """Take a part in; a message that is no part is left to the caller.

        Returns:
            The messages to be handed on now: those that are due or have to make room, with some
            of their parts missing, and then the one that this part completes.
        """
        due = self.take_due(now)
        place = _place(sms)
        if place is None:
            return due
        key, number = place
        seen = self._waiting.get(key) or self._whole.get(key)
        if seen is None or not seen.repeats(number, sms):
            return (*due, *self._take(key, number, sms, now))
        seen.repeated[number] = sms
        if seen is self._whole.get(key):
            seen.deadline = now + self.timeout
            self._whole.move_to_end(key)
        return due

    def holds(self, part: InboundSms) -> bool:
        """Whether this object, and not just an equal one, waits for other parts."""
        place = _place(part)
        parts = self._waiting.get(place[0]) if place else None
        return place is not None and parts is not None and parts.by_number.get(place[1]) is part

    def forget(self, part: InboundSms) -> None:
        """Let the parts of a whole message arrive again: the message of this part was lost."""
        place = _place(part)
        whole = self._whole.get(place[0]) if place else None
        if place and whole and whole.by_number.get(place[1]) is part:
            del self._whole[place[0]]

    def _take(self, key: _Key, number: int, sms: InboundSms, now: float) -> Iterable[Parts]:
        if key[-1] == 1:  # not remembered: two equal texts may both be real
            yield Parts(1, now, {number: sms})
            return
        earlier = self._waiting.get(key) or self._whole.get(key)
        if key in self._waiting and number in self._waiting[key].by_number:
            yield self._waiting.pop(key)
        if key not in self._waiting:
            self._waiting[key] = parts = Parts(key[-1], now + self.timeout)
            if earlier is not None:  # what seemed to be repeated begins the new message
                parts.by_number, earlier.repeated = earlier.repeated, {}
        parts = self._waiting[key]
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
        """Take back the part that completed a message, because the message could not be handled.

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

        It is lost if other parts with its key arrived meanwhile, or if too many messages wait.
        """
        place = _place(next(iter(parts.by_number.values())))
        if place and place[0] not in self._waiting and len(self._waiting) < self.limit:
            parts.deadline = now + self.timeout
            self._waiting[place[0]] = parts

    def take_due(self, now: float) -> tuple[Parts, ...]:
        """Give up the messages whose time is over; they are to be handed on incomplete."""
        _pop_due(self._whole, now)
        return tuple(_pop_due(self._waiting, now))


def is_part(sms: InboundSms) -> bool:
    """Whether a message is one of the parts that make a longer one."""
    return _place(sms) is not None


def _place(sms: InboundSms) -> tuple[_Key, int] | None:
    """The message that a part belongs to, and its number there; None if it is no part."""
    part = udh.concatenation_of(sms.udh) if sms.udh else None
    if part is None:
        return None
    return (sms.sender, sms.receiver, part.reference, part.width, part.total), part.number


def _pop_due(messages: OrderedDict[_Key, Parts], now: float) -> list[Parts]:
    due = []
    while messages and next(iter(messages.values())).deadline <= now:
        due.append(messages.popitem(last=False)[1])
    return due


def _run_of(item: tuple[int, tuple[int, InboundSms]]) -> tuple[object, ...]:
    """A key that is equal for parts which follow each other without a gap and are coded alike.

    Their octets are decoded as one, since a peer may cut a character in two.
    """
    index, (number, sms) = item
    return number - index, sms.data is None, _coding_of(sms), data_coding.shifts(sms.udh)


def _coding_of(sms: InboundSms) -> int:
    """The data coding, by the charset that was found out where the gateway gave none."""
    return _UCS_2 if sms.guessed_charset == charset.UTF_16_BE else sms.data_coding


def _decode(run: list[InboundSms]) -> tuple[str | None, bool]:
    first = run[0]
    torn = any(sms.damaged for sms in run)
    if first.data is None:
        return "".join(sms.text or "" for sms in run), torn
    coding = _coding_of(first)
    wide = data_coding.classify(coding).alphabet is data_coding.Alphabet.UCS_2
    # A gateway that writes a byte order mark may write one into each part.
    mark = data_coding.mark_of(first.data) if wide else b""
    octets = b"".join((sms.data or b"").removeprefix(mark) for sms in run)
    text, damaged = data_coding.decode(mark + octets, coding, first.udh)
    # A character that was cut in two is whole again; one that arrived damaged is not.
    return text, damaged or (torn and charset.REPLACEMENT in (text or ""))
