"""Look-alikes: what they are, and what they leave alone."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.text import gsm7
from infobip_async.text.look_alikes import look_alike, simplify


@pytest.mark.parametrize(
    ("text", "simpler"),
    [
        ("\u2018it\u2019s\u201a", "'it's'"),
        ("\u201cyes\u201d \u201eja\u201c \u00aboui\u00bb", '"yes" "ja" "oui"'),
        ("a\u2010b\u2011c\u2012d\u2013e\u2014f\u2212g", "a-b-c-d-e-f-g"),
        ("a\u00a0b\u2009c\u202fd\u3000e\tf", "a b c d e f"),
        ("wait\u2026", "wait..."),
        ("\u2022 one", "* one"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("line\u2028break", "line\nbreak"),
        ("\u201ca\u200d\u201d \u202aHi\u202c 1\ufe0f", '"a" Hi 1'),
        ("a\u200d\ufe0f\u200bb \u2122\ufe0f", "ab TM"),
        # One sees what joins characters that stay, or selects their look.
        (
            "\u2764\ufe0f \U0001f468\u200d\U0001f469 \U0001f44d\u200b",
            "\u2764\ufe0f \U0001f468\u200d\U0001f469 \U0001f44d",
        ),
        ("\uff21\uff22\uff23\uff01", "ABC!"),
        ("\ufb01n", "fin"),
        ("\u212b \u2126 \u212a", "Å Ω K"),
        ("\u0391\u0392\u0393 \u039f\u03a7\u0399", "ABΓ OXI"),
        ("\U0001d400", "A"),
        ("\ufe63", "-"),
        ("\u00a9 \u00ae \u2122", "(c) (r) TM"),
        # Letters and accents in two characters, where the alphabet has both in one.
        ("cafe\u0301 A\u030a u\u0308ber", "café Å über"),
        ("e\u0302 c\u0327", "e\u0302 c\u0327"),
    ],
)
def test_simplify(text: str, simpler: str) -> None:
    """Characters give way to those that look like them."""
    assert simplify(text) == simpler


INVISIBLE = (
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x206A),
    *(0xAD, 0x61C, 0xFE0E, 0xFE0F, 0xFEFF),
)


@pytest.mark.parametrize("code", INVISIBLE, ids=hex)
def test_what_nobody_sees_costs_nothing(code: int) -> None:
    """A text stays in GSM-7."""
    assert simplify(f"a{chr(code)}b{chr(code)}") == "ab"


@pytest.mark.parametrize("text", ["Привет", "ő č ł ç", "😀", "10²½", "①", "\x1b", "\ud800", ""])
def test_simplify_leaves_the_rest_alone(text: str) -> None:
    """No accent is dropped, no number changed, nothing spelled in other letters."""
    assert simplify(text) == text


@pytest.mark.parametrize(
    ("end", "least"),
    [(0x10000, 300), pytest.param(sys.maxunicode + 1, 1_000, marks=pytest.mark.proof)],
)
def test_every_look_alike_is_in_the_alphabet(end: int, least: int) -> None:
    """Of all characters that are not, whatever has a look-alike becomes GSM-7."""
    found = 0
    for code in range(end):
        if gsm7.septet_count(chr(code)) is None and (simpler := look_alike(chr(code))) is not None:
            assert gsm7.septet_count(simpler) is not None, hex(code)
            found += 1
    assert found > least  # most of them in other widths or fonts


@given(st.text())
def test_simplify_is_final(text: str) -> None:
    """Once is enough, and a text in GSM-7 stays as it is."""
    simpler = simplify(text)
    assert simplify(simpler) == simpler
    if gsm7.septet_count(text) is not None:
        assert simpler == text
