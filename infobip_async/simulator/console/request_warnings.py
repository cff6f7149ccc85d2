"""What the document says is wrong or doubtful about a request, even where the gateway takes it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

import attrs

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models.messages import Recipient, Submission, SubmissionType, Ton
from infobip_async.numbering.msisdn import check_destination, check_sender, is_numeric_sender
from infobip_async.protocol import form, hlr_query, send_get, send_xml
from infobip_async.simulator.records import UDHI, Arrival, Operation
from infobip_async.simulator.validation import is_msisdn
from infobip_async.text import data_coding, gsm7, udh
from infobip_async.text.data_coding import Alphabet, classify

WRONG: Final = "wrong"
DOUBTFUL: Final = "doubtful"

_SINGLE, _SINGLE_UCS_2 = 160, 70
_MOJIBAKE: Final = re.compile("[ÂÃ][\x80-\xbf]|â€|â\u201a¬|\ufffd")
_ENCODED_TWICE: Final = re.compile(
    r"%[0-9A-Fa-f]{2}|&(?:amp|lt|gt|quot|apos|#\d{1,7});|\\u[0-9a-f]{4}"
)
_CONTROL: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PARAMETERS: Final = frozenset(
    (
        *("user", "password", "sender", "smstext", "isflash", "gsm", "type", "bookmark", "binary"),
        *("datacoding", "esmclass", "srcton", "srcnpi", "destton", "destnpi"),
    )
)
_SHOWN: Final = 5


@attrs.frozen
class Doubt:
    """Something that is not as the document has it.

    Attributes:
        level: ``wrong`` where the document forbids it, ``doubtful`` where it may be meant.
        about: what, in one sentence.
        section: of the document; empty where the document is silent.
    """

    level: str
    about: str
    section: str = ""


@attrs.frozen
class Asked:
    """A request as it was read.

    Attributes:
        submission: its message; None where it has none, or one of its values cannot be read.
        recipients: the numbers, good or bad.
        readable: whether it could be read at all.
    """

    submission: Submission | None = None
    recipients: tuple[Recipient, ...] = ()
    readable: bool = True


def asked(arrival: Arrival) -> Asked:
    """Read a request again, as the gateway read it."""
    match arrival.exchange.operation:
        case Operation.SEND:
            try:
                post = send_xml.decode_request(arrival.request)
            except RemoteProtocolError:
                return Asked(readable=False)
            return Asked(post.submission, post.recipients)
        case Operation.SEND_ONE:
            get = send_get.decode_request(arrival.request)
            return Asked(get.submission, (Recipient(get.msisdn),))
        case Operation.SUBMIT_HLR:
            numbers = hlr_query.decode_request(arrival.request).destinations
            return Asked(recipients=tuple(map(Recipient, numbers)))
    return Asked()


_found: Final[WeakKeyDictionary[Arrival, tuple[Doubt, ...]]] = WeakKeyDictionary()


def of_request(arrival: Arrival) -> tuple[Doubt, ...]:
    """What is wrong or doubtful about a request; it is read once, as long as it is kept."""
    found = _found.get(arrival)
    if found is None:
        found = _found[arrival] = _of_request(arrival)
    return found


def _of_request(arrival: Arrival) -> tuple[Doubt, ...]:
    found, operation = asked(arrival), arrival.exchange.operation
    if operation is Operation.SUBMIT_HLR:
        return tuple(_of_lookups(found.recipients))
    if operation not in {Operation.SEND, Operation.SEND_ONE}:
        return ()
    if not found.readable:
        return (Doubt(WRONG, "The XML cannot be read.", "2/1.1"),)
    doubts = [*_of_form(arrival), *_of_recipients(found.recipients)]
    if found.submission is None:
        doubts.append(Doubt(WRONG, "A value of the message cannot be read.", "2/1.2"))
    return (*doubts, *(of_message(found.submission) if found.submission else ()))


# --- the request --------------------------------------------------------------------------------


def _of_form(arrival: Arrival) -> Iterator[Doubt]:
    request = arrival.request
    if arrival.exchange.operation is Operation.SEND:
        body = request.body.lstrip()
        if body[:4] != b"XML=":
            yield Doubt(WRONG, "The body does not begin with XML=.", "2/1.1")
        if b"<" in body[:64]:
            yield Doubt(
                DOUBTFUL, "The XML is not percent-encoded: a gateway may read + and % otherwise."
            )
        return
    names = {name.lower() for name, _ in form.decode(request.url.partition("?")[2])}
    if unknown := sorted(names - _PARAMETERS):
        listed = ", ".join(repr(name) for name in unknown[:_SHOWN])
        yield Doubt(
            DOUBTFUL,
            f"The document has no parameter {listed}: an & in a value must be percent-encoded, "
            "or the text is cut there.",
            "2/2",
        )


def _of_recipients(recipients: Iterable[Recipient]) -> Iterator[Doubt]:
    numbers = Counter(recipient.msisdn for recipient in recipients)
    bad = [number for number in numbers if not is_msisdn(number)]
    for number in bad[:_SHOWN]:
        yield Doubt(WRONG, _fault_of(number), "2/1.2")
    if len(bad) > _SHOWN:
        yield Doubt(WRONG, f"{len(bad) - _SHOWN} more numbers are wrong.", "2/1.2")
    for number in [number for number, times in numbers.items() if times > 1][:_SHOWN]:
        yield Doubt(WRONG, f"{number} stands {numbers[number]} times: it is sent to once.", "2/1")
    ids = Counter(recipient.message_id for recipient in recipients if recipient.message_id)
    for message_id in [each for each, times in ids.items() if times > 1][:_SHOWN]:
        about = (
            f"The message id {message_id!r} stands {ids[message_id]} times: nobody can tell the "
            "reports apart."
        )
        yield Doubt(DOUBTFUL, about, "2/1.1")


def _fault_of(number: str) -> str:
    try:
        check_destination(number)
    except LocalProtocolError as fault:
        return f"{number!r} {fault.args[0]}."
    return f"{number!r} is no number of 5 to 15 digits."


def _of_lookups(recipients: Iterable[Recipient]) -> Iterator[Doubt]:
    numbers = Counter(recipient.msisdn for recipient in recipients)
    for number in [number for number in numbers if not is_msisdn(number)][:_SHOWN]:
        yield Doubt(WRONG, _fault_of(number), "4")
    for number in [number for number, times in numbers.items() if times > 1][:_SHOWN]:
        yield Doubt(DOUBTFUL, f"{number} is asked for {numbers[number]} times, and paid for.", "4")


# --- the message --------------------------------------------------------------------------------


@lru_cache(256)
def of_message(submission: Submission) -> tuple[Doubt, ...]:
    """What is wrong or doubtful about a message."""
    content = _of_text if submission.binary is None else _of_octets
    return (*_of_sender(submission), *content(submission))


def _of_sender(submission: Submission) -> Iterator[Doubt]:
    sender = submission.sender
    try:
        check_sender(sender)
    except LocalProtocolError as fault:
        yield Doubt(WRONG, f"The sender {sender!r} {fault.args[0]}.", "2/1.2")
        return
    if not is_numeric_sender(sender) and not gsm7_fits(sender):
        yield Doubt(DOUBTFUL, "The sender has characters outside the GSM alphabet.")
    ton = submission.source_addr_ton
    if ton is not None and (ton == Ton.ALPHANUMERIC) == is_numeric_sender(sender):
        yield Doubt(DOUBTFUL, f"The sender {sender!r} does not go with TON {ton:d}.", "2/1.2")


def gsm7_fits(text: str) -> bool:
    """Whether the GSM alphabet has every character of a text."""
    return gsm7.septet_count(text) is not None


def _of_text(submission: Submission) -> Iterator[Doubt]:
    text = submission.text or ""
    if not text:
        yield Doubt(WRONG, "There is neither a text nor binary content.", "2/1.2")
        return
    if submission.type is SubmissionType.BOOKMARK:
        if not submission.url:
            yield Doubt(WRONG, "A bookmark needs an address.", "2/1.2")
        return
    yield from _of_characters(text, submission)
    units = gsm7.septet_count(text)
    room = _SINGLE if units is not None else _SINGLE_UCS_2
    length = len(text.encode("utf-16-be", "surrogatepass")) // 2 if units is None else units
    if length > room and submission.type is not SubmissionType.LONG:
        about = f"The text takes {length} of {room} units, and the type is not longSMS."
        yield Doubt(WRONG, about, "2/1.2")
    elif length == room and text[-1].isalnum():
        about = f"The text fills one message exactly ({room}): was it cut before it was sent?"
        yield Doubt(DOUBTFUL, about)


def _of_characters(text: str, submission: Submission) -> Iterator[Doubt]:
    yield from _of_slips(text)
    if classify(submission.data_coding).alphabet is Alphabet.GSM_7 and not gsm7_fits(text):
        about = "The GSM alphabet lacks a character of the text: data coding 8 is for such texts."
        yield Doubt(WRONG, about, "2/1.2")


def _of_slips(text: str) -> Iterator[Doubt]:
    """Traces of a text that was decoded wrongly, or encoded twice, before it was sent."""
    if found := _MOJIBAKE.search(text):
        about = f"{found[0]!r} looks like UTF-8 that was read in another charset."
        yield Doubt(DOUBTFUL, about)
    if found := _ENCODED_TWICE.search(text):
        yield Doubt(DOUBTFUL, f"{found[0]!r} looks as if the text was encoded twice.")
    if found := _CONTROL.search(text):
        yield Doubt(DOUBTFUL, f"The text has the control character U+{ord(found[0]):04X}.")


def _of_octets(submission: Submission) -> Iterator[Doubt]:
    octets, header = submission.binary or b"", None
    if submission.text is not None:
        yield Doubt(WRONG, "Binary content cannot be used together with text.", "2/1.2")
    if submission.esm_class & UDHI:
        header, octets = udh.parse(octets)
        if header.malformed:
            yield Doubt(WRONG, "The user data header cannot be read.", "2/2")
    elif octets[:3] in (b"\x05\x00\x03", b"\x06\x08\x04"):
        about = "The content begins like a user data header, and esmclass does not say so (64)."
        yield Doubt(DOUBTFUL, about, "2/2")
    if classify(submission.data_coding).alphabet is Alphabet.UCS_2 and len(octets) % 2:
        yield Doubt(WRONG, "UCS-2 has an even number of octets.", "2/1.2")
    text, _ = data_coding.decode(octets, submission.data_coding, header)
    yield from _of_slips(text or "")
