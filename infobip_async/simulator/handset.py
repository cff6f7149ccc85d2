"""Messages as a handset shows them: the parts of one message joined."""

from collections.abc import Iterable, Sequence

import attrs

from infobip_async.models.events import InboundSms, UserDataHeader
from infobip_async.simulator.records import UDHI, SentMessage
from infobip_async.text import udh
from infobip_async.text.data_coding import classify
from infobip_async.text.reassembly import Parts
from infobip_async.text.udh import Concatenation


@attrs.define(eq=False)
class HandsetMessage:
    """A message as a handset shows it.

    Attributes:
        total: the parts that its sender announced.
    """

    total: int
    _by_number: dict[int, SentMessage] = attrs.field(factory=dict, repr=False)
    _joined: InboundSms | None = attrs.field(init=False, default=None, repr=False)

    @property
    def parts(self) -> tuple[SentMessage, ...]:
        """What arrived of it, in the order of its parts."""
        return tuple(message for _, message in sorted(self._by_number.items()))

    @property
    def first(self) -> SentMessage:
        """The part that arrived first."""
        return next(iter(self._by_number.values()))

    @property
    def sender(self) -> str:
        """The sender that the handset shows."""
        return self.first.submission.sender

    @property
    def msisdn(self) -> str:
        """The handset's number."""
        return self.first.msisdn

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the parts that did not arrive."""
        return tuple(n for n in range(1, self.total + 1) if n not in self._by_number)

    @property
    def flash(self) -> bool:
        """Whether the handset shows it at once and does not store it."""
        asked = self.first.submission
        return asked.flash or classify(asked.data_coding).flash

    @property
    def text(self) -> str | None:
        """The text of all parts that arrived; None where the content is no text."""
        return self._whole.text

    @property
    def data(self) -> bytes | None:
        """The octets of all parts, without headers; None where the client sent a text."""
        return self._whole.data

    @property
    def _whole(self) -> InboundSms:
        if self._joined is None:
            received = {number: _received(part) for number, part in self._by_number.items()}
            self._joined = Parts(self.total, 0.0, received).join()
        return self._joined

    def takes(self, number: int) -> bool:
        """Whether a part with this number has not arrived yet."""
        return number not in self._by_number

    def add(self, number: int, message: SentMessage) -> None:
        """Take `message` in, whose place is `number`, from 1."""
        self._joined = None
        self._by_number[number] = message


def _header(message: SentMessage) -> tuple[UserDataHeader | None, bytes]:
    octets = message.submission.binary or b""
    return udh.parse(octets) if message.submission.esm_class & UDHI else (None, octets)


def place_of(message: SentMessage) -> Concatenation | None:
    """The place of a message in a longer one; None where it is whole."""
    header, _ = _header(message)
    return udh.concatenation_of(header) if header else None


def _received(message: SentMessage) -> InboundSms:
    asked = message.submission
    if asked.binary is None:
        return InboundSms(asked.sender, message.msisdn, asked.text)
    header, octets = _header(message)
    return InboundSms(
        sender=asked.sender,
        receiver=message.msisdn,
        text=message.text,
        data=octets,
        data_coding=asked.data_coding,
        esm_class=asked.esm_class,
        udh=header,
    )


def shown(messages: Iterable[SentMessage]) -> list[HandsetMessage]:
    """Join the parts of messages, given in the order in which they arrived.

    A part whose number arrived before begins another message: senders use references again.
    """
    found: list[HandsetMessage] = []
    waiting: dict[object, HandsetMessage] = {}
    for message in messages:
        place = place_of(message)
        if place is None:
            found.append(HandsetMessage(1, {1: message}))
            continue
        of = (message.submission.sender, message.msisdn, place.reference, place.width, place.total)
        whole = waiting.get(of)
        if whole is None or not whole.takes(place.number):
            whole = waiting[of] = HandsetMessage(place.total)
            found.append(whole)
        whole.add(place.number, message)
    return found


@attrs.frozen(kw_only=True)
class Sought:
    """What a message must be to be the one that is looked for; None for anything."""

    to: str | None = None
    sender: str | None = None
    text: str | None = None
    contains: str | None = None

    def find(self, messages: Iterable[SentMessage]) -> HandsetMessage | None:
        """The first message that is whole and as it must be; None where there is none."""
        addressed = (
            message
            for message in messages
            if self.to in {None, message.msisdn}
            and self.sender in {None, message.submission.sender}
        )
        return next((whole for whole in shown(addressed) if self._fits(whole)), None)

    def _fits(self, whole: HandsetMessage) -> bool:
        if whole.missing:
            return False
        text = whole.text or ""
        return self.text in {None, whole.text} and (self.contains or "") in text

    def __str__(self) -> str:
        """The words behind "no message"."""
        wanted = (
            ("to", self.to),
            ("from", self.sender),
            ("with the text", self.text and repr(self.text)),
            ("containing", self.contains and repr(self.contains)),
        )
        return " ".join(f"{word} {value}" for word, value in wanted if value)


_LISTED = 20


def not_found(sought: Sought, messages: Sequence[SentMessage]) -> str:
    """Say that a message was not sent, and which ones were."""
    wanted = f"no message {sought}".rstrip()
    if not messages:
        return f"{wanted} was sent; none was sent at all"
    latest = shown(messages)[-_LISTED:]
    lines = (
        f"  to {whole.msisdn} from {whole.sender}: "
        f"{whole.data if whole.text is None else whole.text!r}"
        for whole in latest
    )
    return "\n".join([f"{wanted} was sent; the latest that were:", *lines])
