"""Every parser of what strangers or a gateway send, and inputs that have hurt parsers."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from infobip_async.errors import InfobipError
from infobip_async.protocol import (
    commands,
    dlr_pull,
    dlr_xml,
    form,
    hlr_dlr,
    hlr_query,
    inbound_sms,
    message_ids,
    send_get,
    send_xml,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.text import charset, data_coding, udh

Parser = Callable[[bytes], object]


def _reply(decode: Callable[[HttpReply], object]) -> Parser:
    return lambda octets: decode(HttpReply(200, octets))


def _posted(decode: Callable[[HttpRequest], object]) -> Parser:
    return lambda octets: decode(HttpRequest("POST", "/", octets))


def _query(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _every_alphabet(octets: bytes) -> None:
    header, rest = udh.parse(octets)
    for coding in (0, 1, 3, 6, 8):
        data_coding.decode(rest, coding, header)
        charset.decode(octets, data_coding.classify(coding).alphabet)


PARSERS: Final[dict[str, tuple[Parser, tuple[bytes, ...]]]] = {
    "delivery reports": (
        dlr_xml.decode_push,
        (
            b"",
            b"xml=",
            b"<DeliveryReport>",
            b"<DeliveryReport><message ",
            b"<DeliveryReport>\xc3\xa9",
            b"<DeliveryReport><message id='\xc3\xa9",
            b"<Envelope><DeliveryReport>",
            b"--b\r\nContent-a: name=",
        ),
    ),
    "HLR reports": (partial(hlr_dlr.decode_push, most_rows=10_000), (b"", b"dlr=", b"dlr=1;a;")),
    "inbound SMS": (
        lambda octets: inbound_sms.decode_push(_query(octets)),
        (b"text=", b"bin=", b"text=a&datacoding=", b"datacoding=8&text=", b"esmclass=64&bin=05"),
    ),
    "reply to a send": (_reply(send_xml.decode_reply), (b"", b"<response>", b"<response><status>")),
    "reply to a send by GET": (_reply(send_get.decode_reply), (b"", b"-", b"err")),
    "the balance": (_reply(commands.decode_reply), (b"",)),
    "pulled reports": (_reply(dlr_pull.decode_reply), (b"", b"<DeliveryReport>")),
    "reply to a query": (
        _reply(lambda reply: hlr_query.decode_reply(reply, ["1"])),
        (b"", b"OK\n", b"OK\n1;OK;"),
    ),
    "a send": (_posted(send_xml.decode_request), (b"", b"XML=", b"<SMS><message><text>")),
    "a send by GET": (_posted(send_get.decode_request), (b"", b"SMSText=", b"datacoding=")),
    "a query": (_posted(hlr_query.decode_request), (b"", b"destinations=")),
    "a command": (_posted(commands.decode_request), (b"cmd=",)),
    "a pull": (_posted(dlr_pull.decode_request), (b"MessageId=",)),
    "a form": (form.fields, (b"", b"--b\r\nContent-a: name=x\r\n\r\n")),
    "octets of a message": (_every_alphabet, (b"", b"\x05\x00\x03", b"\xff")),
    "a message id": (
        lambda octets: message_ids.id_keys(b"k" * 16)[0].fits(octets.decode("latin-1")),
        (b"", b"a-"),
    ),
}

UNITS: Final = (
    *(b"%", b"%4", b"%41", b"a%41", b"&", b"a&", b"a=b&", b"=", b"+", b"\xef\xbb\xbf"),
    *(
        b"<",
        b"<a",
        b"<a>",
        b"</",
        b"<credits",
        b"<credits>1",
        b"<!--",
        b"-->",
        b"<status>1</status>",
    ),
    *(b"</response", b"<?xml ", b"<message id='1' status='S'/>", b"<message><a>1</a></message>"),
    *(b"\n", b"\r\n", b" ", b"\t", b";", b"1;", b"1;a;DELIVRD;;;0\n", b"\xff\n", b"x\n"),
    *(b"0", b"9", b"a1", b"-", b"a-", b".", b'"', b"name=", b"--b\r\n", b"\r\n--b\r\n\r\n"),
    *(b"\x01", b"&#1;", b"&#", b"&#x0", b"\xef\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\r"),
    *(b"\xff", b"\xc3", b"\xc3\xa9", b"\xed\xa0\xbd", b"\x00", b"\x00a", b"\x1b", b"\x1be"),
)


def hostile(name: str, size: int) -> Iterator[tuple[bytes, Callable[[], bytes]]]:
    """Give the units that a parser gets again and again, and a maker of the input of a size."""
    for prefix in PARSERS[name][1]:
        for unit in UNITS:
            yield prefix + unit, partial(_repeated, prefix, unit, size)


def _repeated(prefix: bytes, unit: bytes, size: int) -> bytes:
    return prefix + unit * (size // len(unit))


def parse(name: str, octets: bytes) -> None:
    """Run a parser; its own errors are as good as a result."""
    with suppress(InfobipError):
        PARSERS[name][0](octets)
