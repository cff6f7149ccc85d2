"""The cells of a spreadsheet (``.xlsx``, ``.ods``, ``.xls``), as texts; an extra reads them."""

import io
from datetime import date, datetime
from typing import Final

from infobip_async.errors import LocalProtocolError

_FIRST: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first octets of a spreadsheet: of a ZIP archive, or of a compound file."""
_EXACT: Final = 10**15
"""Spreadsheets keep 15 digits of a number; those behind them are lost."""


def is_spreadsheet(file: io.BufferedIOBase) -> bool:
    """Whether a file is a spreadsheet, by its first octets; a pipe is none."""
    if not file.seekable():
        return False
    start = file.tell()
    first = file.read(len(_FIRST[0]))
    file.seek(start)
    return first in _FIRST


def sheet_rows(file: io.BufferedIOBase, sheet: str | None) -> list[list[str]]:
    """Read all rows of a sheet, from the first row and the first column on.

    Args:
        file: the spreadsheet.
        sheet: its sheet, by name; None where only one has anything in it.

    Raises:
        LocalProtocolError: the extra is missing, the file cannot be read, or the sheet is not
            there or not named.
    """
    try:
        import python_calamine as calamine  # noqa: PLC0415 - an extra
    except ImportError:
        raise LocalProtocolError("a spreadsheet needs: pip install 'infobip-async[xlsx]'") from None
    try:
        book = calamine.CalamineWorkbook.from_filelike(file)
        names = book.sheet_names if sheet is None else [sheet]
        sheets = [found for found in map(book.get_sheet_by_name, names) if found.start]
    except calamine.WorksheetNotFound:
        raise LocalProtocolError(f"the spreadsheet has no sheet {sheet!r}", field="sheet") from None
    except calamine.CalamineError:
        raise LocalProtocolError("the spreadsheet cannot be read: is it protected?") from None
    if len(sheets) > 1:
        listed = ", ".join(repr(found.name) for found in sheets)
        raise LocalProtocolError(f"the spreadsheet has several: {listed}; name one", field="sheet")
    return [
        [_text(value) for value in row]
        for found in sheets
        for row in found.to_python(skip_empty_area=False)
    ]


def _text(value: object) -> str:
    """Write a cell as the spreadsheet shows it by default."""
    match value:
        case bool():
            return str(value).upper()
        case float() if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        case int() | float() if abs(value) >= _EXACT:
            return f"{float(value):E}"
        case datetime() | date():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case _:
            return str(value)
