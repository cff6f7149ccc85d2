"""The octets of a list made lines of text: its encoding, byte order marks, and ends of lines."""

import codecs
import io
import re
from typing import Final

from infobip_async.errors import LocalProtocolError

LONGEST_LINE: Final = 1 << 20
"""Most characters of a line."""

_LINE_END: Final = re.compile("\r\n|\r|\n")
_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LineDecoder:
    """Decodes octets to lines, as they come.

    Args:
        encoding: of the text; None for UTF-16 where its byte order mark is there, else UTF-8. A
            byte order mark in front of the text is dropped.
        name: of the source, for the text of faults.
    """

    def __init__(self, encoding: str | None, name: str) -> None:
        self._encoding = encoding
        self._name = name
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._first = b""
        self._rest = ""
        self._lines = 0

    def feed(self, chunk: bytes) -> list[str]:
        """Decode the next octets, and give the lines that are complete.

        Args:
            chunk: the octets; an empty chunk ends the text, and its last line is complete then.

        Raises:
            LocalProtocolError: the octets are not of the encoding, or a line is too long.
        """
        octets = chunk
        if self._decoder is None:
            self._first = octets = self._first + chunk
            if len(octets) < len(_MARKS[0]) and chunk:
                return []
            self._decoder = self._choose()
        return self._decode(self._decoder, octets, final=not chunk)

    def _choose(self) -> io.IncrementalNewlineDecoder:
        """Choose the codec by the first octets, where no encoding is given."""
        if self._encoding is None:
            self._encoding = "utf-16" if self._first.startswith(_MARKS) else "utf-8"
        name = codecs.lookup(self._encoding).name
        if name == "utf-8":
            name = "utf-8-sig"
        elif name.startswith("utf-16") and self._first.startswith(_MARKS):
            name = "utf-16"
        octets = codecs.getincrementaldecoder(name)()
        return io.IncrementalNewlineDecoder(octets, translate=True)

    def _decode(
        self, decoder: io.IncrementalNewlineDecoder, octets: bytes, *, final: bool
    ) -> list[str]:
        try:
            text = self._rest + decoder.decode(octets, final=final)
        except UnicodeError as fault:
            read = ""
            if isinstance(fault, UnicodeDecodeError):  # and not a mark that is missing
                read = fault.object[: fault.start].decode(self._encoding or "utf-8", "ignore")
            line = self._lines + len(_LINE_END.split(read))
            raise LocalProtocolError(
                f"{self._name}, line {line} is not {self._encoding}; give another encoding",
                field="encoding",
            ) from None
        *lines, self._rest = text.split("\n")
        if len(self._rest) > LONGEST_LINE:
            raise LocalProtocolError(f"{self._name} has a line that does not end; is it a text?")
        self._lines += len(lines)
        return [*lines, self._rest] if final else lines
