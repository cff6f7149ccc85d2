"""Messages from handsets, through the URL template (§6)."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.simulator.inbound import Content, contents_of, message_of

ALL = ("sender", "receiver", "text", "bin", "datetime", "datacoding", "esmclass")


@pytest.fixture
def forwarded(simulator, sink):
    """Enters a template that asks for some fields, and gives what the receiver gets."""

    def enter(*fields: str):
        query = "&".join(f"{field}=%{field}%" for field in fields)
        url = f"http://127.0.0.1:{sink.port}/in?{query}"
        simulator.callbacks = attrs.evolve(sink.urls, inbound_sms=url)
        return lambda: [
            {
                name: values[0]
                for name, values in parse_qs(
                    urlsplit(push.target).query, keep_blank_values=True
                ).items()
            }
            for push in sink.pushes
        ]

    return enter


async def test_the_documents_example(simulator, sink) -> None:
    """The sender has no plus, the text stands as it is."""
    simulator.callbacks = sink.urls
    assert await simulator.inbound("+38598123123", "ABC") == (200,)
    [push] = sink.pushes
    assert (push.method, push.target) == ("GET", "/in?who=38598123123&what=ABC")
    assert (push.body, push.content_type) == (b"", None)


async def test_the_documents_example_in_binary(simulator, forwarded) -> None:
    """The octets of the GSM alphabet, in hexadecimal."""
    pushed = forwarded("sender", "bin")
    await simulator.inbound("38598123123", "ABC")
    assert pushed() == [{"sender": "38598123123", "bin": "414243"}]


async def test_every_parameter(simulator, forwarded) -> None:
    """Of a text in GSM-7, with both text and bin in the template, the text alone is sent."""
    pushed = forwarded(*ALL)
    await simulator.inbound("385981", "Bok {€}", receiver="385982")
    assert pushed() == [
        {
            "sender": "385981",
            "receiver": "385982",
            "text": "Bok {€}",
            "bin": "",
            "datetime": "2023/11/14 22:13:20",
            "datacoding": "0",
            "esmclass": "0",
        }
    ]


async def test_a_text_beyond_gsm_7_has_data_coding_8(simulator, forwarded) -> None:
    """With both in the template it is sent in binary alone."""
    pushed = forwarded("text", "bin", "datacoding", "receiver")
    await simulator.inbound("385981", "Жата & co")
    assert pushed() == [
        {
            "text": "",
            "bin": "04160430044204300020002600200063006F",
            "datacoding": "8",
            "receiver": "",
        }
    ]


async def test_text_alone_is_always_filled(simulator, forwarded) -> None:
    """Whatever the data coding."""
    pushed = forwarded("text")
    await simulator.inbound("385981", "Жата & co")
    await simulator.inbound("385981", data=b"\x01", data_coding=4)
    await simulator.inbound("385981", data=b"\xe9\xff", data_coding=245)
    await simulator.inbound(
        "385981", data=b"\x06\x05\x04\x00\x01\x00\x02AB", data_coding=4, esm_class=64
    )
    await simulator.inbound("385981", "")
    assert [push["text"] for push in pushed()] == ["Жата & co", "\x01", "éÿ", "AB", ""]


async def test_a_long_text_comes_in_parts(simulator, forwarded) -> None:
    """Each with a header that says which it is, and a reference of its own message."""
    pushed = forwarded("bin", "esmclass", "datacoding")
    assert await simulator.inbound("385981", "x" * 200) == (200, 200)
    await simulator.inbound("385981", "Ж" * 71)
    assert [(push["bin"][:12], len(push["bin"]) // 2) for push in pushed()] == [
        ("050003000201", 6 + 153),
        ("050003000202", 6 + 47),
        ("050003010201", 6 + 134),
        ("050003010202", 6 + 8),
    ]
    assert [push["esmclass"] for push in pushed()] == ["64"] * 4
    assert [push["datacoding"] for push in pushed()] == ["0", "0", "8", "8"]


async def test_parts_as_text(simulator, forwarded) -> None:
    """Where the template asks for text only, each part is a piece of it."""
    pushed = forwarded("text")
    await simulator.inbound("385981", "x" * 153 + "y" * 47)
    assert [push["text"] for push in pushed()] == ["x" * 153, "y" * 47]


async def test_data_with_a_header(simulator, forwarded) -> None:
    """Octets are forwarded as they are, header included."""
    pushed = forwarded("bin", "datacoding", "esmclass")
    data = bytes.fromhex("06050415811581") + b"\x01"
    await simulator.inbound("385981", data=data, data_coding=4, esm_class=64)
    assert pushed() == [{"bin": data.hex().upper(), "datacoding": "4", "esmclass": "64"}]


async def test_an_inbound_push_is_not_repeated(simulator, sink, clock) -> None:
    """The document promises repetition for delivery reports only; the caller is told."""
    simulator.callbacks = sink.urls
    sink.statuses.extend([503, 0])
    assert await simulator.inbound("385981", "a") == (503,)
    assert await simulator.inbound("385981", "b") == (None,)
    await clock.advance(48 * 3600)
    assert len(sink.pushes) == 2
    assert simulator.counts.answers == {503: 1, None: 1}


@pytest.mark.parametrize("content", [{}, {"text": "a", "data": b"a"}])
async def test_either_a_text_or_data(simulator, sink, content) -> None:
    """Nothing to send, and two things at once, are mistakes of the caller's."""
    simulator.callbacks = sink.urls
    with pytest.raises(LocalProtocolError):
        await simulator.inbound("385981", **content)


async def test_without_a_url_there_is_nowhere_to_go(simulator) -> None:
    """The caller is told."""
    with pytest.raises(LocalProtocolError, match="URL"):
        await simulator.inbound("385981", "a")


def test_pairs_are_not_parted() -> None:
    """An escape and its septet, and two surrogates, stay in one part."""
    gsm = contents_of("x" * 152 + "€" * 10, 7)
    assert [len(content.octets) for content in gsm] == [6 + 152, 6 + 20]
    ucs2 = contents_of("Ж" * 66 + "😀" * 5, 7)
    assert [len(content.octets) for content in ucs2] == [6 + 132, 6 + 20]


def test_a_message_has_its_text_and_its_octets() -> None:
    """Both are there for whatever a template asks for."""
    content = Content(bytes.fromhex("050003CC0201") + b"Hi", 0, 64)
    sms = message_of(content, "385981", None, datetime(2023, 1, 2, tzinfo=UTC))
    assert (sms.text, sms.data) == ("Hi", b"Hi")
    assert sms.udh is not None
    assert sms.udh.raw == bytes.fromhex("050003CC0201")
