"""XML read safely: the one place that knows how.

A DOCTYPE, an entity, an external reference and a depth beyond the format's are refused, whoever
sent the document.
"""

from collections.abc import Callable, Mapping
from typing import Final
from xml.sax import SAXException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from infobip_async.errors import RemoteProtocolError
from infobip_async.protocol import form

Attributes = Mapping[str, str]
"""The attributes of one element, in document order."""


_UTF_16: Final = (b"\xfe\xff", b"\xff\xfe")
_PROLOG: Final = 100
"""Octets in which an encoding is named, if it is."""


class _TooDeep(Exception):  # noqa: N818 - never leaves this module
    """An element stands deeper than its format has any."""


class _Text(ContentHandler):
    """Keeps the text of the element at hand."""

    def __init__(self, chunks: list[str]) -> None:
        super().__init__()
        self._chunks = chunks

    def characters(self, content: str) -> None:
        """Take some of it, as the parser gives it."""
        self._chunks.append(content)


class _Parser(DefusedExpatParser):
    """defusedxml's parser, with its refusals, that calls back for elements without SAX between."""

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
        self._chunks: list[str] = []
        if end is not None:
            self.setContentHandler(_Text(self._chunks))

    def start_element(self, name: str, attrs: Attributes) -> None:
        """Take the start of an element, as expat gives it."""
        self._depth = level = self._depth + 1
        if level > self._deepest:
            raise _TooDeep
        self._chunks.clear()
        self._start(level, name, attrs)

    def end_element(self, name: str) -> None:  # noqa: ARG002 - expat's signature
        """Take the end of an element, as expat gives it."""
        if self._end is not None:
            self._end(self._depth, "".join(self._chunks))
            self._chunks.clear()
        self._depth -= 1


def is_document(octets: bytes) -> bool:
    """Whether octets without white space before them start as XML does.

    That is with a tag, or with the byte order mark of UTF-8 or of UTF-16.
    """
    return octets.startswith((b"<", b"\xef\xbb\xbf", *_UTF_16))


def _in_utf_8(document: bytes) -> bytes:
    """The document; one that is no UTF-8 and names no other encoding is in some other all the same.

    A single octet would make all of it unreadable.
    """
    if document.isascii() or document.startswith(_UTF_16) or b"encoding" in document[:_PROLOG]:
        return document
    return form.text(document).encode()


def read(
    document: bytes,
    start: Callable[[int, str, Attributes], None],
    end: Callable[[int, str], None] | None = None,
    *,
    depth: int,
) -> None:
    """Read a document, calling back for each element in order.

    Args:
        document: the whole document; its encoding is its own to declare.
        start: called with the level of an element (the root's is 1), its name, its attributes.
        end: called with the level of an element and its text.
        depth: the deepest level that the format has.

    Raises:
        RemoteProtocolError: the document is not well-formed, or holds what is refused here.
    """
    parser = _Parser(depth, start, end)
    try:
        parser.feed(_in_utf_8(document))
        parser.close()
    except DefusedXmlException as refusal:
        reason = f"{type(refusal).__name__}: such XML is not read"
    except _TooDeep:
        reason = f"not readable XML: more than {depth} levels of elements"
    except SAXException as fault:
        reason = f"not readable XML: {fault.getMessage()}"
    except (LookupError, ValueError):  # raised by the codec that the document's encoding names
        reason = "not readable XML: its encoding is none that can be read"
    else:
        return
    raise RemoteProtocolError(reason, raw=document)
