"""Which messages the gateway takes, and how many parts they are (§2/1.2, §2/2)."""

import pytest

from infobip_async.models.messages import Submission, SubmissionType
from infobip_async.simulator.validation import is_international, is_msisdn, parts_of

LONG = SubmissionType.LONG


@pytest.mark.parametrize(
    ("text", "kind", "data_coding", "parts"),
    [
        ("x" * 160, None, 0, 1),
        ("x" * 161, None, 0, 0),
        ("x" * 161, LONG, 0, 2),
        ("x" * 307, LONG, 0, 3),
        ("€" * 80, None, 0, 1),
        ("€" * 81, LONG, 0, 2),
        ("Ж" * 70, None, 8, 1),
        ("Ж" * 71, None, 8, 0),
        ("Ж" * 71, LONG, 8, 2),
        ("Ж" * 135, LONG, 8, 3),
        ("x" * 70, None, 8, 1),
        ("x" * 71, None, 8, 0),
        ("x" * 135, LONG, 8, 3),
        ("x" * 161, LONG, 24, 3),
        ("😀" * 67, LONG, 8, 3),
        ("x", LONG, 0, 1),
        ("x\x1b", None, 0, 0),
        ("x" * 153 * 255, LONG, 0, 255),
        ("x" * (153 * 255 + 1), LONG, 0, 0),
    ],
)
def test_parts_of_a_text(
    text: str, kind: SubmissionType | None, data_coding: int, parts: int
) -> None:
    """A part holds 160 septets or 70 units, less of several; several need the type longSMS."""
    message = Submission(sender="F", text=text, type=kind, data_coding=data_coding)
    assert parts_of(message) == parts


@pytest.mark.parametrize(
    ("octets", "data_coding", "esm_class", "parts"),
    [
        (b"x" * 140, 4, 0, 1),
        (b"x" * 141, 4, 0, 0),
        (b"x" * 140, 8, 0, 1),
        (b"x" * 141, 245, 0, 0),
        (b"x" * 160, 0, 0, 1),
        (b"x" * 161, 0, 0, 0),
        (b"\x05\0\3\1\2\1" + b"x" * 153, 0, 64, 1),
        (b"\x05\0\3\1\2\1" + b"x" * 154, 0, 64, 0),
        (b"\x05\0\3\1\2\1" + b"x" * 134, 4, 67, 1),
        (b"\x05\0\3\1\2\1" + b"x" * 135, 4, 64, 0),
        (b"\x05\0\3\1\2\1", 4, 64, 1),
        (b"\x05\0\3\1\2", 4, 64, 0),
    ],
)
def test_room_for_octets(octets: bytes, data_coding: int, esm_class: int, parts: int) -> None:
    """140 octets, or 160 septets, with the header; the header must be whole."""
    message = Submission(
        sender="F", binary=octets, data_coding=data_coding, esm_class=esm_class, type=LONG
    )
    assert parts_of(message) == parts


@pytest.mark.parametrize(
    ("text", "binary", "url", "parts"),
    [
        ("Title", None, "www.a.com", 1),
        ("T" * 200, None, "www.a.com", 1),
        ("Title", None, None, 0),
        (None, None, "www.a.com", 0),
        (None, b"Title", "www.a.com", 0),
    ],
)
def test_a_bookmark_has_a_title_and_an_address(
    text: str | None, binary: bytes | None, url: str | None, parts: int
) -> None:
    """It is one message, whatever the gateway makes of it."""
    message = Submission(
        sender="F", text=text, binary=binary, url=url, type=SubmissionType.BOOKMARK
    )
    assert parts_of(message) == parts


@pytest.mark.parametrize(
    ("number", "international", "msisdn"),
    [
        ("38598514674", True, True),
        ("12345", True, True),
        ("1234", True, False),
        ("123456789012345", True, True),
        ("1234567890123456", True, False),
        ("038598514674", False, False),
        ("+38598514674", False, False),
        ("٣٨٥٩٨٥", False, False),
        ("38598514674\n", False, False),
        ("", False, False),
    ],
)
def test_numbers(number: str, international: bool, msisdn: bool) -> None:
    """The format is one question, the length another."""
    assert (is_international(number), is_msisdn(number)) == (international, msisdn)
