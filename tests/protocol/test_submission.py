"""The message parameters that the XML and the GET have in common."""

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import Npi, Submission, SubmissionType, Ton
from infobip_async.protocol import submission

SENDER = {"sender": "Friend"}


def check(message: Submission, parameters: dict[str, str]) -> None:
    """The message has these parameters, in this order, and is read from them."""
    assert list(submission.parameters(message)) == list(parameters.items())
    assert submission.submission(parameters) == message


@pytest.mark.parametrize(
    ("message", "parameters"),
    [
        (Submission(sender="Friend", text="Hi"), {"text": "Hi"}),
        (Submission(sender="Friend", text=" \n"), {"text": " \n"}),
        (Submission(sender="Friend", text="Hi", flash=True), {"text": "Hi", "flash": "1"}),
        (
            Submission(sender="Friend", text="Hi", type=SubmissionType.LONG),
            {"text": "Hi", "type": "longSMS"},
        ),
        (
            Submission(sender="Friend", text="Hi", type=SubmissionType.BOOKMARK, url="a.b/c"),
            {"text": "Hi", "type": "bookmark", "bookmark": "a.b/c"},
        ),
        (Submission(sender="Friend", binary=b"A\n\rBC"), {"binary": "410A0D4243"}),
        (Submission(sender="Friend", binary=b"\xfe"), {"binary": "FE"}),
        (
            Submission(sender="Friend", binary=b"\x00A", data_coding=8, esm_class=64),
            {"binary": "0041", "datacoding": "8", "esmclass": "64"},
        ),
        (
            Submission(
                sender="Friend",
                text="Hi",
                source_addr_ton=Ton.ALPHANUMERIC,
                source_addr_npi=Npi.UNKNOWN,
                dest_addr_ton=Ton.UNKNOWN,
                dest_addr_npi=Npi.WAP_CLIENT_ID,
            ),
            {"text": "Hi", "srcton": "5", "srcnpi": "0", "destton": "0", "destnpi": "18"},
        ),
    ],
)
def test_literal_pairs(message: Submission, parameters: dict[str, str]) -> None:
    """A parameter is written where it is given, and the defaults of the document are not."""
    check(message, SENDER | parameters)


@pytest.mark.parametrize("ton", Ton)
def test_every_ton_of_the_document(ton: Ton) -> None:
    """0 to 6, at either address."""
    message = Submission(sender="Friend", text="Hi", source_addr_ton=ton, dest_addr_ton=ton)
    check(message, SENDER | {"text": "Hi", "srcton": str(int(ton)), "destton": str(int(ton))})


@pytest.mark.parametrize("npi", Npi)
def test_every_npi_of_the_document(npi: Npi) -> None:
    """Ten values of 0 to 18, at either address."""
    message = Submission(sender="Friend", text="Hi", source_addr_npi=npi, dest_addr_npi=npi)
    check(message, SENDER | {"text": "Hi", "srcnpi": str(int(npi)), "destnpi": str(int(npi))})


@pytest.mark.parametrize(
    "message",
    [
        Submission(sender="Friend"),
        Submission(sender="Friend", text="", binary=b""),
        Submission(sender="Friend", text="Hi", binary=b"Hi"),
    ],
)
def test_text_or_binary_must_be_given_and_not_both(message: Submission) -> None:
    """An empty one counts as not given, as it does at the gateway."""
    with pytest.raises(LocalProtocolError, match="and not both") as caught:
        list(submission.parameters(message))
    assert (caught.value.field, caught.value.section) == ("text", "2/1.2")


@pytest.mark.parametrize("sender", ["", "twelve chars", "123456789012345", "+38598123123", "a\x00"])
def test_a_sender_against_the_rule_is_refused(sender: str) -> None:
    """11 characters or 14 digits."""
    with pytest.raises(LocalProtocolError) as caught:
        list(submission.parameters(Submission(sender=sender, text="Hi")))
    assert (caught.value.field, caught.value.section) == ("sender", "2/1.2")


def test_an_empty_parameter_is_not_given() -> None:
    """Clients fill templates in and leave the rest empty, or blank."""
    names = "sender text flash type bookmark binary datacoding esmclass srcton srcnpi destton"
    blank = dict.fromkeys(("flash", "type", "binary", "datacoding", "srcton", "destnpi"), " \n")
    empty = Submission(sender="")
    assert submission.submission({}) == empty
    assert submission.submission(dict.fromkeys(names.split(), "")) == empty
    assert submission.submission(blank) == empty


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"type": "LongSMS"}, Submission(sender="", type=SubmissionType.LONG)),
        ({"type": "LONGSMS"}, Submission(sender="", type=SubmissionType.LONG)),
        ({"type": " Bookmark "}, Submission(sender="", type=SubmissionType.BOOKMARK)),
        ({"flash": "0"}, Submission(sender="")),
        ({"flash": "False"}, Submission(sender="")),
        ({"flash": " true "}, Submission(sender="", flash=True)),
        ({"binary": "0a0D"}, Submission(sender="", binary=b"\n\r")),
        ({"binary": " 0A 0D\n"}, Submission(sender="", binary=b"\n\r")),
        ({"datacoding": " 008 "}, Submission(sender="", data_coding=8)),
        ({"esmclass": "255"}, Submission(sender="", esm_class=255)),
        ({"srcton": " 1 "}, Submission(sender="", source_addr_ton=Ton.INTERNATIONAL)),
        ({"text": "a", "binary": "62"}, Submission(sender="", text="a", binary=b"b")),
        ({"colour": "red"}, Submission(sender="")),
    ],
)
def test_what_other_clients_write_is_read(parameters: dict[str, str], expected: Submission) -> None:
    """Case, padding and unknown names do not matter; whether it makes sense is judged later."""
    assert submission.submission(parameters) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flash", "2"),
        ("type", "picture"),
        ("binary", "4"),
        ("binary", "4G"),
        ("binary", "\u0664\u0664"),
        ("datacoding", "256"),
        ("datacoding", "-1"),
        ("datacoding", "x"),
        ("datacoding", "\u0668"),
        ("esmclass", "0x40"),
        ("esmclass", "9" * 5000),
        ("srcton", "7"),
        ("srcnpi", "2"),
        ("destton", "9"),
        ("destnpi", "19"),
    ],
)
def test_a_value_that_is_none_of_its_parameter(name: str, value: str) -> None:
    """Reserved numbers included."""
    assert submission.submission({name: value}) is None
