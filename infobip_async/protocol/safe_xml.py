"""XML read safely: the one place that knows how.

A DOCTYPE, an entity, an external reference and a depth beyond the format's are refused, whoever
sent the document.
"""

from collections.abc import Callable
from typing import Protocol
from xml.sax import SAXException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from infobip_async.errors import RemoteProtocolError


class Attributes(Protocol):
    """The attributes of one element, in document order."""

    def items(self) -> list[tuple[str, str]]:
        """Names and values."""


class _Reader(ContentHandler):
    def __init__(
        self,
        depth: int,
        start: Callable[[int, str, Attributes], None],
        end: Callable[[int, str], None] | None,
    ) -> None:
        super().__init__()
        self._depth = 0
        self._deepest = depth
        self._start = start
        self._end = end
        self._text: list[str] = []

    def startElement(self, name: str, attrs: Attributes) -> None:  # noqa: N802 - SAX's own name
        self._depth += 1
        if self._depth > self._deepest:
            raise SAXException(f"more than {self._deepest} levels of elements")
        self._text.clear()
        self._start(self._depth, name, attrs)

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - SAX's own signature
        if self._end is not None:
            self._end(self._depth, "".join(self._text))
            self._text.clear()
        self._depth -= 1

    def characters(self, content: str) -> None:
        if self._end is not None:
            self._text.append(content)


def is_document(octets: bytes) -> bool:
    """Whether octets without white space before them start as XML does.

    That is with a tag, or with the byte order mark of UTF-8 or of UTF-16.
    """
    return octets.startswith((b"<", b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"))


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
    parser = DefusedExpatParser(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.setContentHandler(_Reader(depth, start, end))
    try:
        parser.feed(document)
        parser.close()
    except DefusedXmlException as refusal:
        reason = f"{type(refusal).__name__}: such XML is not read"
    except SAXException as fault:
        reason = f"not readable XML: {fault.getMessage()}"
    except (LookupError, ValueError):  # raised by the codec that the document's encoding names
        reason = "not readable XML: its encoding is none that can be read"
    else:
        return
    raise RemoteProtocolError(reason, raw=document)
