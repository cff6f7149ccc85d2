"""Safe reading of XML, for all formats that use it.

A DOCTYPE, an entity, an external reference, and elements nested deeper than the format has them
are refused, whoever sent the document.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from xml.parsers.expat import XMLParserType
from xml.sax import SAXException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from infobip_async.errors import RemoteProtocolError
from infobip_async.protocol import form
from infobip_async.text import charset

Attributes = Mapping[str, str]
"""The attributes of one element, in document order."""

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
# The first two octets of UTF-16, with a byte order mark or without.
_UTF_16: Final = {
    b"\xfe\xff": "utf-16",
    b"\xff\xfe": "utf-16",
    b"\0<": "utf-16-be",
    b"<\0": "utf-16-le",
}
_STARTS: Final = (b"<", *_UTF_16)
_PROLOG: Final = 100
"""Octets at the start of a field that show whether it holds a document."""
_DECLARED: Final = re.compile(
    rb"""\A(<\?xml[^>]{0,99}?)\sencoding\s*=\s*["']([^"']{0,40})["']""", re.IGNORECASE
)
# What XML 1.0 has no place for, as it is, and as a reference.
_CONTROLS: Final = bytes({*range(0x20)} - {9, 10, 13})
_NO_CHARACTER: Final = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));"
)
_AMPERSAND: Final = ord("&")  # Python finds a number in octets much faster than an octet
_LONGEST_REFERENCE: Final = 13
_CHARACTERS: Final = (
    (9, 10, 13),
    range(0x20, 0xD800),
    range(0xE000, 0xFFFE),
    range(0x10000, 0x110000),
)
_PIECE: Final = 8 * 1024
_LONGEST_ELEMENT: Final = 64 * 1024  # expat reads one that is not complete again and again
_MOST_UNASSIGNED: Final = 64  # of the octets of a charset; half of them are letters, or none
_RAW_FIELD: Final = re.compile(
    rb"(?:\A|&)[^=&<>%]{0,99}=\s*(?:\xef\xbb\xbf\s*)?(?=<|\0<|\xfe\xff|\xff\xfe)"
)


class _TooDeep(Exception):  # noqa: N818 - never leaves this module
    """An element is nested deeper than the format allows."""


class _TooLong(Exception):  # noqa: N818 - never leaves this module
    """An element, or what is between two of them, takes too much memory."""


class _Text(ContentHandler):
    """Collects the text of the current element."""

    def __init__(self, chunks: list[str]) -> None:
        super().__init__()
        self._chunks = chunks

    def characters(self, content: str) -> None:
        """Take a piece of text from the parser."""
        self._chunks.append(content)


class _Parser(DefusedExpatParser):
    """defusedxml's parser, with its refusals. It calls back for elements directly, without SAX."""

    _parser: XMLParserType  # the base class's

    def __init__(
        self,
        depth: int,
        start: Callable[[int, str, Attributes], None],
        end: Callable[[int, str], None] | None,
    ) -> None:
        super().__init__(forbid_dtd=True, forbid_entities=True, forbid_external=True)
        self._deepest = depth
        self._start = start
        self._end = end
        self._depth = 0
        self._pending = 0  # octets since the last element
        self._chunks: list[str] = []
        if end is not None:
            self.setContentHandler(_Text(self._chunks))

    def reset(self) -> None:
        """Have text collected by expat: each line of it would be a callback."""
        super().reset()
        self._parser.buffer_text = True

    def feed_all(self, pieces: Iterable[bytes]) -> None:
        """Have a document parsed. Only a document that is one piece may hold long elements."""
        for piece in pieces:
            if self._pending > _LONGEST_ELEMENT:
                raise _TooLong
            self._pending += len(piece)
            self.feed(piece)

    def start_element(self, name: str, attrs: Attributes) -> None:
        """Take the start of an element from expat."""
        self._depth = level = self._depth + 1
        self._pending = 0
        if level > self._deepest:
            raise _TooDeep
        self._chunks.clear()
        self._start(level, name, attrs)

    def end_element(self, name: str) -> None:  # noqa: ARG002 - expat's signature
        """Take the end of an element from expat."""
        if self._end is not None:
            self._end(self._depth, "".join(self._chunks))
            self._chunks.clear()
        self._depth -= 1
        self._pending = 0


def is_document(octets: bytes) -> bool:
    """Whether octets start as XML does: with a tag, or with the byte order mark of UTF-16.

    White space and the mark of UTF-8 may stand in front.
    """
    return _without_mark(octets).startswith(_STARTS)


def _without_mark(octets: bytes) -> bytes:
    return octets.lstrip(_BLANK).removeprefix(_BOM).lstrip(_BLANK)


def documents(body: bytes) -> list[bytes]:
    """Find the documents in the body of a post, by its content.

    A document is the whole body, or a field of a form of either kind, percent-encoded or not; or
    the whole body is percent-encoded.
    """
    body = _without_mark(body)
    if is_document(body):
        return [body]
    if raw := _RAW_FIELD.search(body):  # its "+" and "&" are what they are
        return [_without_fields(body[raw.end() :])]
    if _begins_encoded(body):
        return [_without_mark(form.unquote(body))]
    if b"%" in body and b"=" not in body:  # the name of its field is encoded, too
        decoded = form.unquote(body)
        return documents(decoded) if b"=" in decoded else []
    if body.startswith(b"--"):
        return list(filter(None, (_in_part(value) for _, value in form.fields(body))))
    return _encoded_documents(body)


def _in_part(value: bytes) -> bytes:
    """Find the document in a part of multipart/form-data; nothing where it holds none."""
    if is_document(value):
        return _without_mark(value)
    return _without_mark(form.unquote(value)) if _begins_encoded(value) else b""


def _encoded_documents(body: bytes) -> list[bytes]:
    """Find encoded documents in fields. One alone may hold a bare "&", which ends no field then."""
    fields = body.split(b"&", form.MOST_FIELDS)
    values = [field.partition(b"=")[2] for field in fields]
    places = [place for place, value in enumerate(values) if _begins_encoded(value)]
    if len(places) == 1:
        values = [b"&".join((values[places[0]], *fields[places[0] + 1 :]))]
        places = [0]
    return [_without_fields(_without_mark(form.unquote(values[place]))) for place in places]


def _begins_encoded(octets: bytes) -> bool:
    return is_document(form.unquote(octets.lstrip(_BLANK)[:_PROLOG]))


def _without_fields(document: bytes) -> bytes:
    """Cut off the fields of a form that follow a document."""
    end = document.find(b"&", document.rfind(b">"))
    return document if end < 0 else document[:end]


def _in_utf_8(document: bytes, padding: bytes) -> Iterator[bytes]:
    """Re-encode a document as UTF-8, piece by piece, whatever it is and declares.

    A wrong declaration, or a single octet of another charset, must not make the whole document
    unreadable. Encodings are wrong in practice: .NET declares UTF-16 in a text that it then encodes
    as UTF-8.
    """
    texts: Iterable[str]
    declared = _DECLARED.match(document)
    if wide := _UTF_16.get(document[:2]):
        end = len(document.rstrip(padding + b"\0") if padding else document)
        whole = min(end + 1, len(document)) & ~1  # the last character, and no half of one
        texts = charset.pieces(document[:whole], wide)
    elif declared is None and document.isascii():
        yield document.rstrip(padding)
        return
    elif declared and _is_one_octet(codec := declared[2].decode("latin-1")):
        texts = charset.pieces(document.rstrip(padding), codec)
    else:
        texts = charset.texts(document.rstrip(padding))
    for number, text in enumerate(texts):
        octets = text.encode("utf-8", "replace")
        yield octets if number else _DECLARED.sub(rb"\1", octets)


def _is_one_octet(name: str) -> bool:
    """Whether a name is that of a charset with a character, or none, for each octet."""
    try:
        characters = bytes(range(256)).decode(name, "replace")
    except (LookupError, ValueError):
        return False
    unassigned = characters.count("\ufffd")
    return len(characters) == 256 and unassigned < _MOST_UNASSIGNED  # noqa: PLR2004 - all octets


def _mended(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Replace what is no character of XML: a single one would cost the whole document."""
    held = b""
    for piece in pieces:
        if not held and _is_sound(piece):
            yield piece
            continue
        for start in range(0, len(piece), _PIECE):
            part = held + piece[start : start + _PIECE]
            cut = part.rfind(b"&", max(0, len(part) - _LONGEST_REFERENCE))  # of a reference
            end = len(part) if cut < 0 else cut
            held = part[end:]
            yield _NO_CHARACTER.sub(_character, part[:end])
    if held:
        yield held


def _is_sound(piece: bytes) -> bool:
    if piece.translate(None, _CONTROLS) != piece:
        return False
    if not piece.isascii() and b"\xef\xbf" in piece:
        return False
    if _AMPERSAND not in piece:
        return True
    return b"&#" not in piece and b"&" not in piece[-_LONGEST_REFERENCE:]


def _character(found: re.Match[bytes]) -> bytes:
    """Give a reference to a character as it is, and U+FFFD in the place of all else."""
    number = int(found[1], 16) if found[1] else int(found[2] or 0)
    is_one = any(number in several for several in _CHARACTERS)
    return found[0] if is_one else charset.REPLACEMENT.encode()


def read(
    document: bytes,
    start: Callable[[int, str, Attributes], None],
    end: Callable[[int, str], None] | None = None,
    *,
    depth: int,
    padding: bytes = b"",
    mends: bool = False,
) -> None:
    """Read a document, and call back for each element in order.

    Args:
        document: the whole document, which may declare its encoding.
        start: called with the level of an element (1 for the root), its name, and its attributes.
        end: called with the level of an element and its text.
        depth: the deepest level that is read.
        padding: octets that may stand behind the document.
        mends: whether U+FFFD takes the place of what is no character of XML, such as control
            characters. Otherwise a document with one is refused.

    Raises:
        RemoteProtocolError: the document is not well-formed, or holds something that is refused.
    """
    parser = _Parser(depth, start, end)
    pieces = _in_utf_8(document, padding)
    try:
        parser.feed_all(_mended(pieces) if mends else pieces)
        parser.close()
    except DefusedXmlException as refusal:
        reason = f"{type(refusal).__name__}: such XML is not read"
    except _TooDeep:
        reason = f"not readable XML: more than {depth} levels of elements"
    except _TooLong:
        reason = f"not readable XML: more than {_LONGEST_ELEMENT} octets without an element"
    except SAXException as fault:
        reason = f"not readable XML: {fault.getMessage()}"
    except (LookupError, ValueError):  # raised by the codec of the declared encoding
        reason = "not readable XML: its encoding is none that can be read"
    else:
        return
    raise RemoteProtocolError(reason, raw=document)
