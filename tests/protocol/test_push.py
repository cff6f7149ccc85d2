"""From a push as it arrived to the events in it."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from datetime import UTC, datetime

import pytest

from infobip_async.errors import RemoteProtocolError
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    Event,
    HlrReport,
    HlrStatus,
    InboundSms,
    UnreadableRow,
)
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.message_ids import id_keys, tag_message_id
from infobip_async.protocol.push import PushFormat, decode, unreadable

DELIVERY = (
    b'<DeliveryReport><message id="1" donedate="2010/8/2 9:0:0" status="SENT"/></DeliveryReport>'
)


@pytest.mark.parametrize(
    ("push", "events"),
    [
        (
            RawPush(PushKind.DELIVERY_REPORTS, body=DELIVERY),
            [DeliveryReport("1", DeliveryStatus.SENT, "SENT", None, datetime(2010, 8, 2, 9))],
        ),
        (
            RawPush(PushKind.HLR_REPORTS, body=b"dlr=1;a;DELIVRD;;;0\nx"),
            [
                HlrReport("1", "a", HlrStatus.DELIVRD, "DELIVRD", error_code="0"),
                UnreadableRow("x", "1 fields instead of 6"),
            ],
        ),
        (
            RawPush(PushKind.INBOUND_SMS, "sender=1&text=a"),
            [InboundSms("1", text="a", params={"sender": "1", "text": "a"})],
        ),
    ],
)
def test_each_kind_is_read_as_its_format(push: RawPush, events: list[Event]) -> None:
    """A list of events, whichever of the three it is."""
    assert decode(push, PushFormat()) == events


def test_the_settings_of_the_account_are_applied() -> None:
    """The zone to both formats with dates, the names to inbound messages."""
    settings = PushFormat(zone=UTC, inbound={"who": "sender", "what": "text", "when": "datetime"})
    (report,) = decode(RawPush(PushKind.DELIVERY_REPORTS, body=DELIVERY), settings)
    assert isinstance(report, DeliveryReport)
    assert report.done_at == datetime(2010, 8, 2, 9, tzinfo=UTC)
    push = RawPush(PushKind.INBOUND_SMS, "who=1&what=a&when=2010/8/2+9:0:0")
    (sms,) = decode(push, settings)
    assert isinstance(sms, InboundSms)
    assert (sms.sender, sms.text) == ("1", "a")
    assert sms.received_at == datetime(2010, 8, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("kind", PushKind)
def test_an_unreadable_push_raises(kind: PushKind) -> None:
    """Nothing of it is an event."""
    with pytest.raises(RemoteProtocolError):
        decode(RawPush(kind, "a=1", b"a=1"), PushFormat())


def test_a_push_has_a_most_of_rows() -> None:
    """So many are read; one more, and nothing is, so that the whole body can be kept."""
    two = RawPush(PushKind.HLR_REPORTS, body=b"dlr=1;a;DELIVRD;;;0\n2;b;DELIVRD;;;0")
    assert len(decode(two, PushFormat(most_rows=2))) == 2
    with pytest.raises(RemoteProtocolError, match="more than 1 rows") as caught:
        decode(two, PushFormat(most_rows=1))
    assert caught.value.raw == two.body


def test_a_report_without_our_tag_is_set_aside() -> None:
    """It is forged, or on a message of another sender; other events need no tag."""
    keys = id_keys(["the key before this one", "a key of sixteen octets or more"])
    ours = tag_message_id("1", "a key of sixteen octets or more")
    settings = PushFormat(id_keys=keys)
    body = DELIVERY.replace(b"</", f'<message id="{ours}" status="SENT"/></'.encode())
    forged, report = decode(RawPush(PushKind.DELIVERY_REPORTS, body=body), settings)
    assert forged == UnreadableRow("1 SENT", "the message id has no tag of ours")
    assert report == DeliveryReport(ours, DeliveryStatus.SENT, "SENT")
    (sms,) = decode(RawPush(PushKind.INBOUND_SMS, "sender=1&text=a"), settings)
    assert isinstance(sms, InboundSms)


def test_the_row_of_an_unreadable_push() -> None:
    """Its body, whatever octets it has, or else its query; and the reason."""
    push = RawPush(PushKind.DELIVERY_REPORTS, "a=1", b"a\xff")
    assert unreadable(push, "why") == UnreadableRow("a\\xff", "why")
    push = RawPush(PushKind.INBOUND_SMS, "a=1")
    assert unreadable(push, "why") == UnreadableRow("a=1", "why")
