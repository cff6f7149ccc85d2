"""From a push as it arrived to the events in it."""

# ruff: noqa: DTZ001 - dates are naive on the wire

from datetime import UTC, datetime

import pytest

from infobip_async.errors import RemoteProtocolError
from infobip_async.models import (
    DeliveryReport,
    DeliveryStatus,
    Event,
    HlrReport,
    HlrStatus,
    InboundSms,
    UnreadableRow,
)
from infobip_async.protocol.exchange import PushKind, RawPush
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


def test_a_push_has_at_most_so_many_rows() -> None:
    """One with more cannot be read as a whole."""
    rows = RawPush(PushKind.HLR_REPORTS, body=b"dlr=1;a;DELIVRD;;;0\n2;b;DELIVRD;;;0")
    assert len(decode(rows, PushFormat(most_rows=2))) == 2
    with pytest.raises(RemoteProtocolError, match="more than 1 rows"):
        decode(rows, PushFormat(most_rows=1))


def test_a_push_that_cannot_be_read_is_set_aside_as_it_came() -> None:
    """Its body, in a text that can be printed; its query where it has no body."""
    posted = RawPush(PushKind.DELIVERY_REPORTS, "x=1", b"a\xff")
    assert unreadable(posted, "why") == UnreadableRow("a\\xff", "why")
    forwarded = RawPush(PushKind.INBOUND_SMS, "text=%00")
    assert unreadable(forwarded, "why") == UnreadableRow("text=%00", "why")
