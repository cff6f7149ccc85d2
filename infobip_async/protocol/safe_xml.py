"""Safe reading of XML, for all formats that use it.

A DOCTYPE, an entity, an external reference, and elements nested deeper than the format has them
are refused, whoever sent the document.
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
"""Octets at the start of a document in which it may declare its encoding."""


class _TooDeep(Exception):  # noqa: N818 - never leaves this module
    """An element is nested deeper than the format allows."""


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
        """Take the start of an element from expat."""
        self._depth = level = self._depth + 1
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


def is_document(octets: bytes) -> bool:
    """Whether octets start as XML does: with a tag, or with the byte order mark of UTF-8 or UTF-16.

    Args:
        octets: without white space in front.
    """
    return octets.startswith((b"<", b"\xef\xbb\xbf", *_UTF_16))


def _in_utf_8(document: bytes) -> bytes:
    """Re-encode a document that is not UTF-8 and declares no encoding.

    Otherwise a single octet would make the whole document unreadable.
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
    """Read a document, and call back for each element in order.

    Args:
        document: the whole document, which may declare its encoding.
        start: called with the level of an element (1 for the root), its name, and its attributes.
        end: called with the level of an element and its text.
        depth: the deepest level that the format has.

    Raises:
        RemoteProtocolError: the document is not well-formed, or holds something that is refused.
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
    except (LookupError, ValueError):  # raised by the codec of the declared encoding
        reason = "not readable XML: its encoding is none that can be read"
    else:
        return
    raise RemoteProtocolError(reason, raw=document)
