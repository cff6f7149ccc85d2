"""What the document says is wrong or doubtful about a request."""

from urllib.parse import quote, quote_plus

import pytest

from infobip_async.protocol.exchange import HttpRequest
from infobip_async.simulator.console.request_warnings import of_request
from infobip_async.simulator.records import Arrival

XML = "/AddOn/SMSService/XML/XMLInput.aspx"


@pytest.fixture
def doubts(gateway):
    """Sends a request to a gateway, and names what is doubtful about it."""

    def ask(method: str, url: str, body: bytes = b"") -> list[str]:
        request = HttpRequest(method, url, body)
        exchange = gateway.handle(request, 0.0)
        found = of_request(Arrival(at=0.0, request=request, exchange=exchange))
        return [f"{doubt.level}: {doubt.about}" for doubt in found]

    return ask


@pytest.fixture
def xml(doubts):
    """The same for a message by XML."""

    def ask(message: str, recipients: str = "<gsm>38598514674</gsm>", *, raw: bool = False):
        login = "<authentification><username>user</username><password>p4ss</password>"
        document = (
            f"<SMS>{login}</authentification><message>{message}</message>"
            f"<recipients>{recipients}</recipients></SMS>"
        )
        return doubts("POST", XML, (document if raw else f"XML={quote_plus(document)}").encode())

    return ask


@pytest.fixture
def by_get(doubts):
    """The same for a message by GET."""

    def ask(query: str) -> list[str]:
        login = "user=user&password=p4ss&GSM=38598514674"
        return doubts("GET", f"/Addon/SMSService/SendSMS.aspx?{login}&{query}")

    return ask


def message(text: str = "Hello", sender: str = "Friend", more: str = "") -> str:
    """A message element's content."""
    return f"<sender>{sender}</sender><text>{text}</text>{more}"


def test_a_good_message_has_nothing(xml) -> None:
    """Neither wrong nor doubtful."""
    assert xml(message()) == []
    assert xml(message("a" * 161, more="<type>longSMS</type>")) == []


@pytest.mark.parametrize(
    ("recipients", "about"),
    [
        ("<gsm>+38598514674</gsm>", "without a leading + or 0: write its digits alone"),
        ("<gsm>0038598514674</gsm>", "write its digits alone"),
        ("<gsm>0985146</gsm>", "leading 0"),
        ("<gsm>12</gsm>", "no number of 5 to 15 digits"),
        ("<gsm>abc</gsm>", "other than the digits"),
        ("<gsm>38591</gsm><gsm>38591</gsm>", "38591 stands 2 times"),
        ('<gsm messageId="a">38591</gsm><gsm messageId="a">38592</gsm>', "'a' stands 2 times"),
    ],
)
def test_numbers(xml, recipients, about) -> None:
    """Each is named, even where the gateway takes the others."""
    found = xml(message(), recipients + "<gsm>38590000000</gsm>")
    assert [about in doubt for doubt in found] == [True]


def test_many_bad_numbers_are_counted(xml) -> None:
    """Five are named."""
    found = xml(message(), "".join(f"<gsm>+{number}</gsm>" for number in range(90_000, 90_020)))
    assert len(found) == 6
    assert found[-1] == "wrong: 15 more numbers are wrong."


@pytest.mark.parametrize(
    ("given", "about"),
    [
        (message(sender="TwelveLetters"), "wrong: The sender 'TwelveLetters' has 13 characters"),
        (message(sender="+385911234"), "wrong: The sender '+385911234' has a leading +"),
        (message(sender="123456789012345"), "a numeric sender has at most 14"),
        (message(sender="Šibenik"), "doubtful: The sender has characters outside"),
        (message(sender="12345", more="<srcton>5</srcton>"), "does not go with TON 5"),
        (message(sender="Friend", more="<srcton>1</srcton>"), "does not go with TON 1"),
        (message("a" * 161), "wrong: The text takes 161 of 160 units"),
        (message("a" * 160), "doubtful: The text fills one message exactly (160)"),
        (message("CafÃ©", more="<datacoding>8</datacoding>"), "read in another charset"),
        (message("It&amp;#39;s"), "'&#39;' looks as if the text was encoded twice"),
        (message("100%20sure"), "'%20' looks as if"),
        (message("tab\there"), "control character U+0009"),
        (message("Привет"), "wrong: The GSM alphabet lacks"),
        (message(""), "wrong: There is neither a text nor binary content"),
        (message("x", more="<type>bookmark</type>"), "wrong: A bookmark needs an address"),
        (message(more="<binary>41</binary>"), "cannot be used together with text"),
        (message(more="<datacoding>x</datacoding>"), "A value of the message cannot be read"),
    ],
)
def test_messages(xml, given, about) -> None:
    """Senders, lengths, traces of a wrong encoding, and contents."""
    assert any(about in doubt for doubt in xml(given)), xml(given)


@pytest.mark.parametrize(
    ("more", "about"),
    [
        ("<binary>0500030102014142</binary>", "esmclass does not say so"),
        ("<binary>05000341</binary><esmclass>64</esmclass>", "header cannot be read"),
        ("<binary>004100</binary><datacoding>8</datacoding>", "an even number of octets"),
        ("<binary>00C300A9</binary><datacoding>8</datacoding>", "read in another charset"),
    ],
)
def test_octets(xml, more, about) -> None:
    """Headers and alphabets."""
    assert any(about in doubt for doubt in xml(f"<sender>Friend</sender>{more}"))


def test_forms_of_a_body(xml, doubts) -> None:
    """The document has XML= and percent-encoding; unreadable XML is said to be so."""
    assert [doubt[:34] for doubt in xml(message(), raw=True)] == [
        "wrong: The body does not begin wit",
        "doubtful: The XML is not percent-e",
    ]
    assert doubts("POST", XML, b"XML=%3CSMS") == ["wrong: The XML cannot be read."]


def test_a_text_that_is_cut_at_an_ampersand(by_get) -> None:
    """The rest of the text became the name of a parameter."""
    (doubt,) = by_get("sender=Friend&SMSText=Fish & Chips".replace(" ", "+"))
    assert "The document has no parameter '+chips'".replace("+", " ") in doubt
    assert by_get(f"sender=Friend&SMSText={quote('Fish & Chips')}") == []


def test_lookups(doubts) -> None:
    """A number that is asked for twice is paid for twice."""
    body = b"user=user&pass=p4ss&destinations=38591123%3B38591123%3B%2B385"
    found = doubts("POST", "/api/hlr/query.aspx", body)
    assert len(found) == 2
    assert found[0].startswith("wrong: '+385'")
    assert found[1] == "doubtful: 38591123 is asked for 2 times, and paid for."


def test_other_requests_have_nothing(doubts) -> None:
    """A balance has no message."""
    assert doubts("GET", "/Addon/SMSService/command.aspx?username=user") == []
