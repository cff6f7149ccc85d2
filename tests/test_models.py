"""The values that users hand in and get back."""

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import attrs
import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.models import events, messages, receipts
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    HlrReport,
    HlrStatus,
    InboundSms,
    UdhElement,
    UnreadableRow,
    UserDataHeader,
)
from infobip_async.models.messages import (
    BinaryMessage,
    Npi,
    Recipient,
    Submission,
    TextMessage,
    Ton,
    WapBookmark,
)
from infobip_async.models.receipts import HlrSubmission, PartReceipt, SendReceipt
from infobip_async.protocol.exchange import CallbackUrls

WHEN = datetime(2005, 7, 19, 22)  # noqa: DTZ001 - dates are naive on the wire
SAMPLES = [
    TextMessage("Hello", "Friend"),
    BinaryMessage(b"A", "Friend", data_coding=8),
    WapBookmark("Look", "a.b", "Friend"),
    Recipient("385", "id-1"),
    Submission(sender="Friend", text="Hello", source_addr_ton=Ton.ALPHANUMERIC),
    PartReceipt(1, Decimal("7.16"), (Recipient("385", "id-1"),)),
    SendReceipt((Recipient("385"),), (PartReceipt(1, None, (Recipient("385"),)),)),
    DeliveryReport("id-1", DeliveryStatus.SENT, "SENT", None, WHEN, {"price": "0.01"}),
    DeliveryReport("id-1", DeliveryStatus.SENT, "SENT"),
    HlrReport("385", "a-1", HlrStatus.DELIVRD, "DELIVRD", imsi="21901"),
    HlrSubmission("385", accepted=True, lookup_id="a-1", raw_status="OK"),
    UdhElement(0, b"\xcc\x02\x01"),
    UserDataHeader(b"\x02\x70\x00", (UdhElement(0x70, b""),)),
    InboundSms("385", text="Hello", params={"sender": "385"}),
    InboundSms("385"),
    UnreadableRow("x", "1 fields"),
    CallbackUrls("a", "b", "c"),
]


def test_every_value_has_a_sample() -> None:
    """So that the tests below hold for what is added later."""
    values = {
        value
        for module in (messages, receipts, events)
        for _, value in inspect.getmembers(module, inspect.isclass)
        if attrs.has(value) and attrs.fields(value) and not value.__name__.startswith("_")
    }
    assert values | {CallbackUrls} == set(map(type, SAMPLES))


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_values_are_frozen_and_slotted(value: object) -> None:
    """What was handed over cannot change afterwards, nor grow attributes by a slip."""
    name = next(iter(inspect.signature(type(value)).parameters))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_values_are_compared_hashed_copied_and_pickled_by_content(value: object) -> None:
    """They go into sets and queues, and to other processes."""
    for twin in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):  # noqa: S301 - our own
        assert twin == value
        assert hash(twin) == hash(value)


def test_reports_without_extras_are_plain_data() -> None:
    """An empty mapping is as good a dictionary as a full one."""
    report = DeliveryReport("id-1", DeliveryStatus.SENT, "SENT")
    assert json.dumps(attrs.asdict(report)["extras"]) == "{}"
    assert json.dumps(attrs.asdict(InboundSms("385"))["params"]) == "{}"


def test_the_enums_are_those_of_the_document() -> None:
    """Number for number, and word for word."""
    assert {ton.name: int(ton) for ton in Ton} == {
        "UNKNOWN": 0,
        "INTERNATIONAL": 1,
        "NATIONAL": 2,
        "NETWORK_SPECIFIC": 3,
        "SUBSCRIBER_NUMBER": 4,
        "ALPHANUMERIC": 5,
        "ABBREVIATED": 6,
    }
    assert [int(npi) for npi in Npi] == [0, 1, 3, 4, 6, 8, 9, 10, 14, 18]
    assert [status.value for status in DeliveryStatus] == [
        "NOT_SENT",
        "SENT",
        "NOT_DELIVERED",
        "DELIVERED",
        "NOT_ALLOWED",
        "INVALID_DESTINATION_ADDRESS",
        "INVALID_SOURCE_ADDRESS",
        "ROUTE_NOT_AVAILABLE",
        "NOT_ENOUGH_CREDITS",
        "INVALID_MESSAGE_FORMAT",
        "UNKNOWN",
    ]
    assert [status.value for status in HlrStatus] == ["DELIVRD", "UNDELIV", "UNKNOWN"]


ADDRESSES = {
    "source_addr_ton": (5, 7),
    "source_addr_npi": (18, 2),
    "dest_addr_ton": (0, -1),
    "dest_addr_npi": (1, 19),
}


@pytest.mark.parametrize(("field", "values"), ADDRESSES.items())
def test_reserved_numbers_are_refused_in_every_message(field: str, values: tuple[int, int]) -> None:
    """Where the value is made, naming the field; a plain number of the document's will do."""
    good, reserved = values
    makers = (
        lambda **given: TextMessage("Hello", "Friend", **given),
        lambda **given: BinaryMessage(b"A", "Friend", **given),
        lambda **given: WapBookmark("Look", "a.b", "Friend", **given),
        lambda **given: Submission(sender="Friend", text="Hello", **given),
    )
    for make in makers:
        assert getattr(make(**{field: good}), field) == good
        assert getattr(make(**{field: None}), field) is None
        with pytest.raises(LocalProtocolError, match=rf"{reserved} is no (TON|NPI)") as caught:
            make(**{field: reserved})
        assert (caught.value.field, caught.value.section) == (field, "2/1.2")


@pytest.mark.parametrize("make", [TextMessage, BinaryMessage])
def test_settings_are_given_by_name(make: Callable[..., object]) -> None:
    """Past the content and the sender, order says nothing."""
    for several in ((1,), (1, 2), (1, 2, 3)):
        with pytest.raises(TypeError, match="positional argument"):
            make("Hello", "Friend", *several)


def test_what_is_not_given_is_as_the_document_says() -> None:
    """No flash, data coding and ESM class 0, no addresses (§2/1.2)."""
    addresses = dict.fromkeys(ADDRESSES)
    assert attrs.asdict(TextMessage("Hello", "Friend")) == addresses | {
        "text": "Hello",
        "sender": "Friend",
        "flash": False,
    }
    assert attrs.asdict(BinaryMessage(b"A", "Friend")) == addresses | {
        "data": b"A",
        "sender": "Friend",
        "data_coding": 0,
        "esm_class": 0,
        "udh": b"",
    }
    assert attrs.asdict(WapBookmark("Look", "a.b", "Friend")) == addresses | {
        "text": "Look",
        "url": "a.b",
        "sender": "Friend",
    }


def receipt(*parts: tuple[int, str | None]) -> SendReceipt:
    """The receipt of a message to one number, with a count and a balance for each part."""
    several = len(parts) > 1
    return SendReceipt(
        (Recipient("1", "id"),),
        tuple(
            PartReceipt(
                accepted,
                None if balance is None else Decimal(balance),
                (Recipient("1", f"id-{number}" if several else "id"),),
            )
            for number, (accepted, balance) in enumerate(parts, 1)
        ),
    )


@pytest.mark.parametrize(
    ("parts", "accepted", "credits"),
    [
        ([(2, "7.16")], 2, Decimal("7.16")),
        ([(2, None)], 2, None),
        ([(3, "9"), (1, "8"), (2, "7")], 1, Decimal(7)),
        ([(1, "9"), (1, None)], 1, None),
    ],
)
def test_what_a_receipt_says_of_all_parts(
    parts: list[tuple[int, str | None]],
    accepted: int,
    credits: Decimal | None,  # noqa: A002 - the field's name
) -> None:
    """The least that was accepted, since a part alone is no message; the last balance."""
    assert receipt(*parts).accepted == accepted
    assert receipt(*parts).credits == credits


def test_the_ids_of_the_parts_of_a_message() -> None:
    """Under which its delivery is reported."""
    assert receipt((1, None)).part_ids("id") == ("id",)
    assert receipt((1, None), (1, None)).part_ids("id") == ("id-1", "id-2")
    with pytest.raises(ValueError, match="not in list"):
        receipt((1, None)).part_ids("other")
    assert SendReceipt((Recipient("1"),), (PartReceipt(1, None, (Recipient("1"),)),)).accepted == 1


def test_parts_of_an_inbound_message_may_be_missing() -> None:
    """Then it is partial."""
    assert not InboundSms("1", text="a").partial
    assert InboundSms("1", text="a", parts=3, missing=(2,)).partial


def test_no_repr_shows_the_webhook_secret() -> None:
    """All three addresses hold it."""
    assert repr(CallbackUrls("/marked/dlr", "/marked/hlr", "/marked/inbound")) == "CallbackUrls()"
