"""Notes about the events that handlers have now, for the process that comes after a death.

A note is there when the process dies, however it dies: the file is mapped into memory, and its
pages belong to the system. It may be gone when the machine dies, but then no event was at fault.
So a note costs a store into memory, and neither a system call nor an fsync.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from infobip_async.redaction import logger_of_faults

_PAGE: Final = 512
_COUNT: Final = struct.Struct("<i")
_RANGE: Final = struct.Struct("<qii")  # a push, and the first and the last number of events in it
_MOST_RANGES: Final = (_PAGE - _COUNT.size) // _RANGE.size
_MOST_ROWS: Final = 10_000  # in a range that a damaged file may hold

_logger = logger_of_faults("infobip_async.journal")

Row = tuple[int, int]
"""A push, and the number of an event in it."""


class Notes:
    """A file with a page for each worker that calls handlers.

    Without the file a journal works as well, but does not learn which event kills its process.

    Args:
        path: the file. A new one is readable and writable by its owner alone (mode 0600).
        pages: how many workers have a page; those with a higher number leave no notes.
    """

    def __init__(self, path: Path, pages: int) -> None:
        self._path = path
        self._pages = pages
        self._map: mmap.mmap | None = None
        self._told = False

    @property
    def kept(self) -> bool:
        """Whether the file is open: without it, `open` is to be tried again."""
        return self._map is not None

    def open(self) -> list[Row]:
        """Open the file, and give the events that handlers had when an earlier process died."""
        self.close()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                left = file.read()
                # Written and not only made longer: a full disk has to show here, as an error, and
                # not later as a signal that ends the process.
                file.write(bytes(max(0, self._pages * _PAGE - len(left))))
                file.flush()
                self._map = mmap.mmap(file.fileno(), 0)
        except (OSError, ValueError) as fault:
            if not self._told:
                self._told = True
                _logger.warning("an event that kills this process will not be found: %s", fault)
            return []
        self._told = False
        return _all_rows(left)

    def read(self) -> list[Row]:
        """Give the events that handlers have now, in whichever process; none without the file."""
        try:
            return _all_rows(self._path.read_bytes())
        except OSError:
            return []

    def write(self, page: int, rows: Sequence[Row]) -> None:
        """Note which events a worker has now; none when its handlers have ended.

        A page may be too small for a batch of many pushes. If one of those without a note kills
        the process, the others are handled alone, and then it has a note.
        """
        if self._map is None or page >= self._pages:
            return
        at = page * _PAGE
        if len(rows) == 1:  # as mostly
            ((push, number),) = rows
            _RANGE.pack_into(self._map, at + _COUNT.size, push, number, number)
            _COUNT.pack_into(self._map, at, 1)
            return
        ranges = list(_ranges(rows))[:_MOST_RANGES]
        for place, one in enumerate(ranges):
            _RANGE.pack_into(self._map, at + _COUNT.size + place * _RANGE.size, *one)
        _COUNT.pack_into(self._map, at, len(ranges))

    def clear(self) -> None:
        """Forget all notes, also those of a journal with more workers."""
        if self._map is not None:
            self._map[:] = bytes(len(self._map))

    def close(self) -> None:
        """Close the file, with the notes that are in it."""
        if self._map is not None:
            self._map.close()
            self._map = None


def _ranges(rows: Sequence[Row]) -> Iterator[tuple[int, int, int]]:
    """Join neighbours: a batch is mostly a stretch of one push."""
    begun = None
    for push, number in rows:
        if begun and begun[0] == push and begun[2] + 1 == number:
            begun = push, begun[1], number
            continue
        if begun:
            yield begun
        begun = push, number, number
    if begun:
        yield begun


def _all_rows(pages: bytes) -> list[Row]:
    return [row for at in range(0, len(pages), _PAGE) for row in _rows(pages[at : at + _PAGE])]


def _rows(page: bytes) -> Iterator[Row]:
    """Read a page, whatever is in it."""
    if len(page) < _PAGE:
        return
    (count,) = _COUNT.unpack_from(page)
    for place in range(min(count, _MOST_RANGES)):
        push, first, last = _RANGE.unpack_from(page, _COUNT.size + place * _RANGE.size)
        for number in range(first, min(last, first + _MOST_ROWS) + 1):
            yield push, number
