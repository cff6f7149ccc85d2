"""The tables of the GSM 7-bit alphabets (3GPP TS 23.038 clause 6.2.1 and Annex A).

A locking table has 128 characters, one per septet; an extension (single shift) table has the
characters of the septets that may follow an escape. The keys of the national tables are the
national language identifiers of Annex A, which a user data header carries.
"""

from collections.abc import Mapping

ESCAPE = 0x1B
"""The septet that announces a character of an extension table."""

UNASSIGNED = "\ufffd"
"""The character in cells of a table that have none."""

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""The default alphabet. The cell of the escape holds U+001B, which is not one of its characters."""


def _run(run: str) -> str:
    """``0041-0043`` is ``ABC``, ``0041`` is ``A``."""
    first, _, last = run.partition("-")
    return "".join(map(chr, range(int(first, 16), int(last or first, 16) + 1)))


def _table(runs: str) -> str:
    """The characters of a whole table, in the order of their septets."""
    return "".join(map(_run, runs.split()))


def _over(base: Mapping[int, str], runs: str) -> dict[int, str]:
    """Copy `base` with some cells changed; each run of characters follows its first septet."""
    cells = dict(base)
    for run in runs.split():
        septet, _, characters = run.partition(":")
        cells.update(enumerate(_run(characters), int(septet, 16)))
    return cells


# What the default extension table and all national ones have in common. The euro sign is no part
# of it, since Telugu has none.
_COMMON = _over({}, "0A:000C 14:005E 28:007B 29:007D 2F:005C 3C:005B 3D:007E 3E:005D 40:007C")

EXTENSION: Mapping[int, str] = _over(_COMMON, "65:20AC")
"""The default extension table."""

_INDIC = _over(
    _COMMON,
    "00:0040 01:00A3 02:0024 03:00A5 04:00BF 05:0022 06:00A4 07:0025-0027 0B:002A-002B "
    "0E:002D 0F:002F 10:003C-003E 13:00A1 15:00A1 16:005F 17:0023 18:002A 41:0041-005A",
)

LOCKING: Mapping[int, str] = {
    1: _table(  # Turkish
        "0040 00A3 0024 00A5 20AC 00E9 00F9 0131 00F2 00C7 000A 011E-011F 000D 00C5 00E5 "
        "0394 005F 03A6 0393 039B 03A9 03A0 03A8 03A3 0398 039E 001B 015E-015F 00DF 00C9 "
        "0020-0023 00A4 0025-003F 0130 0041-005A 00C4 00D6 00D1 00DC 00A7 00E7 0061-007A "
        "00E4 00F6 00F1 00FC 00E0"
    ),
    3: _table(  # Portuguese
        "0040 00A3 0024 00A5 00EA 00E9 00FA 00ED 00F3 00E7 000A 00D4 00F4 000D 00C1 00E1 "
        "0394 005F 00AA 00C7 00C0 221E 005E 005C 20AC 00D3 007C 001B 00C2 00E2 00CA 00C9 "
        "0020-0023 00BA 0025-003F 00CD 0041-005A 00C3 00D5 00DA 00DC 00A7 007E 0061-007A "
        "00E3 00F5 0060 00FC 00E0"
    ),
    4: _table(  # Bengali
        "0981-0983 0985-098B 000A 098C FFFD 000D FFFD 098F-0990 FFFD FFFD 0993-099A 001B "
        "099B-099E 0020-0021 099F-09A4 0029 0028 09A5-09A6 002C 09A7 002E 09A8 0030-003B "
        "FFFD 09AA-09AB 003F 09AC-09B0 FFFD 09B2 FFFD FFFD FFFD 09B6-09B9 09BC-09C4 FFFD "
        "FFFD 09C7-09C8 FFFD FFFD 09CB-09CE 0061-007A 09D7 09DC-09DD 09F0-09F1"
    ),
    5: _table(  # Gujarati
        "0A81-0A83 0A85-0A8B 000A 0A8C-0A8D 000D FFFD 0A8F-0A91 FFFD 0A93-0A9A 001B "
        "0A9B-0A9E 0020-0021 0A9F-0AA4 0029 0028 0AA5-0AA6 002C 0AA7 002E 0AA8 0030-003B "
        "FFFD 0AAA-0AAB 003F 0AAC-0AB0 FFFD 0AB2-0AB3 FFFD 0AB5-0AB9 0ABC-0AC5 FFFD "
        "0AC7-0AC9 FFFD 0ACB-0ACD 0AD0 0061-007A 0AE0-0AE3 0AF1"
    ),
    6: _table(  # Hindi
        "0901-0903 0905-090B 000A 090C-090D 000D 090E-091A 001B 091B-091E 0020-0021 "
        "091F-0924 0029 0028 0925-0926 002C 0927 002E 0928 0030-003B 0929-092B 003F "
        "092C-0939 093C-094D 0950 0061-007A 0972 097B-097C 097E-097F"
    ),
    7: _table(  # Kannada
        "FFFD 0C82-0C83 0C85-0C8B 000A 0C8C FFFD 000D 0C8E-0C90 FFFD 0C92-0C9A 001B "
        "0C9B-0C9E 0020-0021 0C9F-0CA0 0CAA 0CA2-0CA4 0029 0028 0CA5-0CA6 002C 0CA7 002E "
        "0CA8 0030-003B FFFD 0CAA-0CAB 003F 0CAC-0CB3 FFFD 0CB5-0CB9 0CBC-0CC4 FFFD "
        "0CC6-0CC8 FFFD 0CCA-0CCD 0CD5 0061-007A 0CD6 0CE0-0CE3"
    ),
    8: _table(  # Malayalam
        "FFFD 0D02-0D03 0D05-0D0B 000A 0D0C FFFD 000D 0D0E-0D10 FFFD 0D12-0D1A 001B "
        "0D1B-0D1E 0020-0021 0D1F-0D24 0029 0028 0D25-0D26 002C 0D27 002E 0D28 0030-003B "
        "FFFD 0D2A-0D2B 003F 0D2C-0D39 FFFD 0D3D-0D44 FFFD 0D46-0D48 FFFD 0D4A-0D4D 0D57 "
        "0061-007A 0D60-0D63 0D79"
    ),
    9: _table(  # Oriya
        "0B01-0B03 0B05-0B0B 000A 0B0C FFFD 000D FFFD 0B0F-0B10 FFFD FFFD 0B13-0B1A 001B "
        "0B1B-0B1E 0020-0021 0B1F-0B24 0029 0028 0B25-0B26 002C 0B27 002E 0B28 0030-003B "
        "FFFD 0B2A-0B2B 003F 0B2C-0B30 FFFD 0B32-0B33 FFFD 0B35-0B39 0B3C-0B44 FFFD FFFD "
        "0B47-0B48 FFFD FFFD 0B4B-0B4D 0B56 0061-007A 0B57 0B60-0B63"
    ),
    10: _table(  # Punjabi
        "0A01-0A03 0A05-0A0A FFFD 000A FFFD FFFD 000D FFFD 0A0F-0A10 FFFD FFFD 0A13-0A1A "
        "001B 0A1B-0A1E 0020-0021 0A1F-0A24 0029 0028 0A25-0A26 002C 0A27 002E 0A28 "
        "0030-003B FFFD 0A2A-0A2B 003F 0A2C-0A30 FFFD 0A32-0A33 FFFD 0A35-0A36 FFFD "
        "0A38-0A39 0A3C FFFD 0A3E-0A42 FFFD FFFD FFFD FFFD 0A47-0A48 FFFD FFFD 0A4B-0A4D "
        "0A51 0061-007A 0A70-0A74"
    ),
    11: _table(  # Tamil
        "FFFD 0B82-0B83 0B85-0B8A FFFD 000A FFFD FFFD 000D 0B8E-0B90 FFFD 0B92-0B95 FFFD "
        "FFFD FFFD 0B99-0B9A 001B FFFD 0B9C FFFD 0B9E 0020-0021 0B9F FFFD FFFD FFFD "
        "0BA3-0BA4 0029 0028 FFFD FFFD 002C FFFD 002E 0BA8 0030-003B 0BA9-0BAA FFFD 003F "
        "FFFD FFFD 0BAE-0BB9 FFFD FFFD 0BBE-0BC2 FFFD FFFD FFFD 0BC6-0BC8 FFFD 0BCA-0BCD "
        "0BD0 0061-007A 0BD7 0BF0-0BF2 0BF9"
    ),
    12: _table(  # Telugu
        "0C01-0C03 0C05-0C0B 000A 0C0C FFFD 000D 0C0E-0C10 FFFD 0C12-0C1A 001B 0C1B-0C1E "
        "0020-0021 0C1F-0C24 0029 0028 0C25-0C26 002C 0C27 002E 0C28 0030-003B FFFD "
        "0C2A-0C2B 003F 0C2C-0C33 FFFD 0C35-0C39 FFFD 0C3D-0C44 FFFD 0C46-0C48 FFFD "
        "0C4A-0C4D 0C55 0061-007A 0C56 0C60-0C63"
    ),
    13: _table(  # Urdu
        "0627 0622 0628 067B 0680 067E 06A6 062A 06C2 067F 000A 0679 067D 000D 067A 067C "
        "062B-062C 0681 0684 0683 0685-0687 062D-062F 001B 068C 0688-068A 0020-0021 068F "
        "068D 0630-0631 0691 0693 0029 0028 0699 0632 002C 0696 002E 0698 0030-003B 069A "
        "0633-0634 003F 0635-0639 0641-0642 06A9-06AB 06AF 06B3 06B1 0644-0646 06BA-06BC "
        "0648 06C4 06D5 06C1 06BE 0621 06CC 06D0 06D2 064D 0650 064F 0657 0654 0061-007A "
        "0655 0651 0653 0656 0670"
    ),
}
"""The national locking shift tables; Spanish has none."""

SINGLE: Mapping[int, Mapping[int, str]] = {
    1: _over(  # Turkish
        EXTENSION, "47:011E 49:0130 53:015E 63:00E7 67:011F 69:0131 73:015F"
    ),
    2: _over(  # Spanish
        EXTENSION, "09:00E7 41:00C1 49:00CD 4F:00D3 55:00DA 61:00E1 69:00ED 6F:00F3 75:00FA"
    ),
    3: _over(  # Portuguese
        EXTENSION,
        "05:00EA 09:00E7 0B:00D4 0C:00F4 0E:00C1 0F:00E1 12:03A6 13:0393 15:03A9 16:03A0 "
        "17:03A8 18:03A3 19:0398 1F:00CA 41:00C0 49:00CD 4F:00D3 55:00DA 5B:00C3 5C:00D5 "
        "61:00C2 69:00ED 6F:00F3 75:00FA 7B:00E3 7C:00F5 7F:00E2",
    ),
    4: _over(  # Bengali
        _INDIC, "19:09E6-09E7 1C:09E8-09EF 24:09DF-09E2 2A:09E3 2B:09F2-09F5 30:09F6-09FA 65:20AC"
    ),
    5: _over(  # Gujarati
        _INDIC, "19:0964-0965 1C:0AE6-0AEF 65:20AC"
    ),
    6: _over(  # Hindi
        _INDIC,
        "19:0964-0965 1C:0966-096F 26:0951-0952 2A:0953-0954 2C:0958-095A 30:095B-0963 "
        "39:0970-0971 65:20AC",
    ),
    7: _over(  # Kannada
        _INDIC, "19:0964-0965 1C:0CE6-0CEF 26:0CDE 27:0CF1 2A:0CF2 65:20AC"
    ),
    8: _over(  # Malayalam
        _INDIC, "19:0964-0965 1C:0D66-0D71 2A:0D72-0D75 2E:0D7A 30:0D7B-0D7F 65:20AC"
    ),
    9: _over(  # Oriya
        _INDIC, "19:0964-0965 1C:0B66-0B6F 26:0B5C-0B5D 2A:0B5F 2B:0B70-0B71 65:20AC"
    ),
    10: _over(  # Punjabi
        _INDIC, "19:0964-0965 1C:0A66-0A6F 26:0A59-0A5A 2A:0A5B-0A5C 2C:0A5E 2D:0A75 65:20AC"
    ),
    11: _over(  # Tamil
        _INDIC, "19:0964-0965 1C:0BE6-0BEF 26:0BF3-0BF4 2A:0BF5-0BF8 2E:0BFA 65:20AC"
    ),
    12: _over(  # Telugu
        _INDIC, "1C:0C66-0C6F 26:0C58-0C59 2A:0C78-0C7C 30:0C7D-0C7F"
    ),
    13: _over(  # Urdu
        _INDIC,
        "19:0600-0601 1C:06F0-06F9 26:060C-060D 2A:060E-0612 30:0613-0614 32:061B 33:061F "
        "34:0640 35:0652 36:0658 37:066B-066C 39:0672-0673 3B:06CD 3F:06D4 65:20AC",
    ),
}
"""The national single shift tables."""
