"""Inbound SMS by GET, to the URL that the owner of the account enters (§6).

Wire example::

    http://some.server.com/incoming_sms.php?who=%sender%&what=%text%

    GET /incoming_sms.php?who=38598123123&what=ABC
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Final
from urllib.parse import quote_plus

import attrs

from infobip_async.errors import LocalProtocolError, RemoteProtocolError
from infobip_async.models.events import InboundSms, UserDataHeader
from infobip_async.protocol import dates, form
from infobip_async.text import charset, data_coding, udh

FIELDS: Final = ("sender", "receiver", "text", "bin", "datetime", "datacoding", "esmclass")
"""The fields that the gateway can forward (§6)."""

DEFAULT_NAMES: Final[Mapping[str, str]] = {field: field for field in FIELDS}
"""Query parameter to field, for a URL in which each parameter has the name of its field."""

_PLACEHOLDER = re.compile("%(" + "|".join(FIELDS) + ")%", re.IGNORECASE)
_UDHI: Final = 0x40
_CONTENT: Final = ("text", "bin")
_DROPPED: Final = ("sender", "receiver", "bin", "datetime")  # if nothing but a placeholder came
# Placeholders that the gateway left as they are. "%da" is an octet to whoever decodes it.
_LEFT: Final = frozenset(
    left
    for field in FIELDS
    for left in (b"%%%b%%" % field.encode(), form.unquote(b"%%%b%%" % field.encode()))
)
_HEX_OCTET: Final = re.compile("0[xX][0-9a-fA-F]{1,2}")
_PAIR: Final = re.compile(".{1,2}", re.DOTALL)
_HEX_PAIR: Final = re.compile("[0-9a-fA-F]{2}")
_UCS_2_NAMES: Final = re.compile("ucs|utf-?16|unicode", re.IGNORECASE)
_CODING_OF: Final = {charset.UTF_16_BE: 8, charset.GSM_7: 0, None: 4}
# What stands in front of a name where a URL was written as HTML, or ends in a "?" of its own.
_BEFORE_NAME: Final = re.compile("[ ?]*(?:amp;)?[ ?]*")
_PARTS: Final = (b"\x05\0\x03", b"\x06\x08\x04")  # how the headers of parts begin
_LENGTHS: Final = (5, 6)  # of the headers that have the place of a part and nothing else


def template(names: Mapping[str, str]) -> str:
    """Make the query of the URL to enter in the account, ``who=%sender%&what=%text%``.

    Args:
        names: query parameter to field, each one of `FIELDS`; ``text`` or ``bin`` is among them.

    Raises:
        LocalProtocolError: a field is unknown, a name or a field stands twice, or neither
            ``text`` nor ``bin`` is there.
    """
    fields = set(names.values())
    if unknown := fields.difference(FIELDS):
        raise LocalProtocolError(
            f"{min(unknown)!r} is none of {', '.join(FIELDS)}", field="inbound", section="6"
        )
    repeated = len(fields) < len(names) or len({name.lower() for name in names}) < len(names)
    if repeated or fields.isdisjoint(("text", "bin")):
        raise LocalProtocolError(
            "each name and field can be used once, and text or bin must be",
            field="inbound",
            section="6",
        )
    return "&".join(f"{quote_plus(name)}=%{field}%" for name, field in names.items())


def encode_push(url: str, sms: InboundSms) -> str:
    """Fill in a URL template, as a gateway does before it makes its request.

    If the template asks for both ``text`` and ``bin``, data coding 0 leaves ``bin`` empty, and
    any other leaves ``text`` empty (§6).
    """
    asked = {match[1].lower() for match in _PLACEHOLDER.finditer(url)}
    both = {"text", "bin"} <= asked
    header = sms.udh.raw if sms.udh else b""
    # "we will provide everything" if only one was asked for: as well as that is possible.
    text = (sms.data or b"").decode("latin-1") if sms.text is None else sms.text
    values = {
        "sender": sms.sender,
        "receiver": sms.receiver or "",
        "text": "" if both and sms.data_coding else text,
        "bin": "" if both and not sms.data_coding else (header + (sms.data or b"")).hex().upper(),
        "datetime": dates.encode(sms.received_at),
        "datacoding": str(sms.data_coding),
        "esmclass": str(sms.esm_class),
    }
    return _PLACEHOLDER.sub(lambda match: quote_plus(values[match[1].lower()]), url)


def _fields(
    pairs: Iterable[tuple[str, bytes]], names: Mapping[str, str], query: str
) -> dict[str, bytes]:
    """Find the fields that are given.

    Of two values of a side field, which one counts is not guessed: it is not given then.
    """
    found: dict[str, bytes] = {}
    doubtful: set[str] = set()
    for name, value in pairs:
        field = names.get(name) or _field_of(name, names)
        if field is None or (field in _DROPPED and value.lower() in _LEFT):
            continue
        known = found.get(field)
        if known and value and value != known:
            doubtful.add(field)
        found[field] = known or value
    if not doubtful.isdisjoint(_CONTENT):
        raise RemoteProtocolError("a parameter twice", raw=form.octets(query))
    for field in doubtful:
        del found[field]
    return found


def _field_of(name: str, names: Mapping[str, str]) -> str | None:
    """Find the field of a parameter whose name is not spelt as in the template."""
    bare = _BEFORE_NAME.sub("", name.lower(), 1).rstrip()
    return next((field for known, field in names.items() if known.lower() == bare), None)


def _date(value: str, zone: tzinfo | None) -> datetime | None:
    """Read a date, whose format the document does not name; unknown ones stay in `params`."""
    try:
        return dates.decode(value, zone)
    except ValueError:
        return None


def _octet(value: bytes) -> int | None:
    """Read a side field; None where it cannot be read."""
    if not value:
        return 0
    text = form.text(value).strip()
    try:
        return int(text, 16) if _HEX_OCTET.fullmatch(text) else form.octet(text)
    except ValueError:
        return None


def decode_push(
    query: str, *, names: Mapping[str, str] = DEFAULT_NAMES, zone: tzinfo | None = None
) -> InboundSms:
    """Read the request that forwards a message.

    A text that can be read is handed on, whatever its side fields look like: one that cannot be
    read counts as not given, and stands in `InboundSms.params` as it came.

    Args:
        query: the raw query string.
        names: query parameter to field, as in the URL template; parameters in any case.
        zone: the gateway's time zone; without it `InboundSms.received_at` is naive.

    Raises:
        RemoteProtocolError: no content, two of them, or octets without one that can be read.
    """
    pairs = [(form.text(name), value) for name, value in form.split(form.octets(query))]
    fields = _fields(pairs, names, query)
    if fields.keys().isdisjoint(_CONTENT):
        raise RemoteProtocolError("neither text nor bin", raw=form.octets(query))
    coding = _octet(fields.get("datacoding", b""))
    esm_class = _octet(fields.get("esmclass", b"")) or 0
    try:
        content = _content(fields, coding, esm_class)
    except ValueError as fault:
        raise RemoteProtocolError(f"unreadable value: {fault}", raw=form.octets(query)) from None
    return InboundSms(
        form.text(fields.get("sender", b"")).lstrip("+ "),  # an unencoded + arrives as a space
        form.text(fields.get("receiver", b"")).lstrip("+ ") or None,
        content.text,
        content.data,
        _date(form.text(fields.get("datetime", b"")), zone),
        coding or 0,
        esm_class,
        content.udh,
        content.damaged,
        params={name: form.text(value) for name, value in pairs},
        guessed_charset=content.guessed_charset,
    )


# --- content --------------------------------------------------------------------------------


@attrs.define  # not frozen: each push makes one, which would take thrice the time
class _Content:
    """What a message says, in the fields of `InboundSms`."""

    text: str | None
    data: bytes | None = None
    udh: UserDataHeader | None = None
    damaged: bool = False
    guessed_charset: str | None = None


def _content(fields: Mapping[str, bytes], coding: int | None, esm_class: int) -> _Content:
    """Read ``text`` and ``bin``. Both, against the rule, are kept as they are.

    Args:
        fields: the fields that are given.
        coding: the data coding; None where it cannot be read.
        esm_class: SMPP esm_class, 0 where it cannot be read.
    """
    headed = bool(esm_class & _UDHI)
    text, digits = fields.get("text", b""), form.text(fields.get("bin", b"")).strip()
    if digits and (not text or text.lower() in _LEFT):
        return _content_of_bin(digits, fields.get("datacoding", b""), coding, headed=headed)
    named = form.text(fields.get("datacoding", b""))
    if (coding is None and _UCS_2_NAMES.search(named)) or (not named and charset.is_script(text)):
        coding = _CODING_OF[charset.UTF_16_BE]
    content = _content_of_text(text, coding or 0, headed=headed)
    if not digits:
        return content
    try:
        octets = bytes.fromhex(digits)
    except ValueError:  # the text says all
        return content
    header, data, _ = _split(octets) if headed else (content.udh, octets, False)
    return attrs.evolve(content, data=data, udh=header)


def _content_of_text(octets: bytes, coding: int, *, headed: bool) -> _Content:
    """Read the field ``text``: a text, or the octets of the message with their header in front."""
    header, octets = (headed and _header_in_text(octets)) or (None, octets)
    reading = charset.decode(octets, data_coding.classify(coding).alphabet)
    data = None
    if reading.charset in {charset.GSM_7, charset.UTF_16_BE}:
        # Octets as they came from the network are kept: parts are joined before they are decoded.
        raw = data_coding.decode(octets, coding, header) == (reading.text, reading.damaged)
        data = octets if raw else None
    return _Content(reading.text, data, header, reading.damaged, reading.charset)


def _header_in_text(octets: bytes) -> tuple[UserDataHeader, bytes] | None:
    """Take a header off the front of a text, each octet of it raw or as a character of UTF-8."""
    length = octets[0] + 1 if octets else 0
    written = octets.decode(errors="surrogateescape")[:length]
    found = [(octets[:length], length)]
    with suppress(UnicodeEncodeError):
        found.insert(0, (written.encode("latin-1"), len(written.encode())))
    for raw, size in found:
        header, _ = udh.parse(raw)
        if header.elements and not header.malformed:
            return header, octets[size:]
    for raw, size in found:
        if raw[:3] in _PARTS and len(raw) == length:  # of a part that cannot be, such as "3 of 2"
            return udh.parse(raw)[0], octets[size:]
    return None


def _content_of_bin(digits: str, named: bytes, coding: int | None, *, headed: bool) -> _Content:
    """Read the field ``bin``.

    Args:
        digits: the field.
        named: the field ``datacoding`` as it came.
        coding: what that says; None where it cannot be read.
        headed: whether a header is in front.
    """
    octets, lost = _octets(digits)
    header, data, torn = _split(octets) if headed else (None, octets, False)
    guessed = None
    if coding is None or not named:
        guessed = _charset_of(form.text(named), data)
        coding = _CODING_OF[guessed] if guessed or named else 0
    start = len(octets) - len(data)
    places = {at - start for at in lost if at >= start}
    if places and data_coding.classify(coding).alphabet is data_coding.Alphabet.UCS_2:
        data = _without_units(data, places)
    text, damaged = data_coding.decode(data, coding, header)
    if (
        places and text and len(text) == len(data)
    ):  # of a charset in which each octet is a character
        text = "".join(charset.REPLACEMENT if at in places else one for at, one in enumerate(text))
    return _Content(text, data, header, damaged or torn or bool(lost), guessed)


def _without_units(data: bytes, lost: Iterable[int]) -> bytes:
    """Write U+FFFD over the characters of UCS-2 that lost an octet."""
    units = bytearray(data)
    for at in lost:
        units[at & ~1 : (at & ~1) + 2] = charset.REPLACEMENT.encode("utf-16-be")
    return bytes(units)


def _octets(digits: str) -> tuple[bytes, list[int]]:
    """Read hexadecimal digits, and tell at which octets they cannot be read.

    Raises:
        ValueError: nowhere can they be read.
    """
    try:
        return bytes.fromhex(digits), []
    except ValueError:
        pairs = _PAIR.findall(digits)
    lost = [at for at, pair in enumerate(pairs) if not _HEX_PAIR.fullmatch(pair)]
    if len(lost) == len(pairs):
        raise ValueError("bin holds no hexadecimal digits")
    for at in lost:
        pairs[at] = "FF"
    return bytes.fromhex("".join(pairs)), lost


def _split(octets: bytes) -> tuple[UserDataHeader | None, bytes, bool]:
    """Take the header off, and tell whether its length was wrong: then its elements count."""
    header, data = udh.parse(octets)
    if header.elements:
        return header, data, False
    for length in _LENGTHS:
        mended, behind = udh.parse(bytes([length]) + octets[1:])
        if udh.concatenation_of(mended) and not mended.malformed:
            raw = octets[: length + 1]
            return UserDataHeader(raw, mended.elements, malformed=True), behind, True
    if octets[0] >= len(octets):
        return None, octets, True
    return header, data, False


def _charset_of(named: str, data: bytes) -> str | None:
    """Guess the charset of octets whose data coding is not given, a word, or of no meaning."""
    if _UCS_2_NAMES.search(named) or charset.is_wide(data):
        return charset.UTF_16_BE
    return charset.guess(data) if named else None
