"""From a push as it arrived to the events in it, for all three kinds of pushes."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

import attrs

from infobip_async.models.events import DeliveryReport, Event, UnreadableRow
from infobip_async.protocol import dlr_xml, form, hlr_dlr, inbound_sms
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.message_ids import IdKey


@attrs.frozen(kw_only=True)
class PushFormat:
    """How the pushes of an account are read.

    Attributes:
        zone: the gateway's time zone; without it dates are naive.
        inbound: query parameter to field of the inbound URL (§6).
        most_rows: the most rows of a push that can be read; None for no limit.
        id_keys: keys of message ids. If there are any, a delivery report whose message id has
            no tag of them is set aside as unreadable.
    """

    zone: tzinfo | None = None
    inbound: Mapping[str, str] = inbound_sms.DEFAULT_NAMES
    most_rows: int | None = None
    id_keys: Sequence[IdKey] = ()


def decode(push: RawPush, settings: PushFormat) -> Sequence[Event]:
    """Read the events of a push, in order.

    Raises:
        RemoteProtocolError: the push as a whole cannot be read.
    """
    events = _decode(push, settings)
    if settings.id_keys:
        return [_authentic(event, settings.id_keys) for event in events]
    return events


def unreadable(push: RawPush, reason: str) -> UnreadableRow:
    """Make the row that is set aside for a push that cannot be read as a whole."""
    return UnreadableRow(form.printable(push.body) or push.query, reason)


# To name a member of an enumeration takes Python 3.11 a call.
_DELIVERY_REPORTS: Final = PushKind.DELIVERY_REPORTS
_HLR_REPORTS: Final = PushKind.HLR_REPORTS


def _decode(push: RawPush, settings: PushFormat) -> Sequence[Event]:
    most = settings.most_rows
    if push.kind is _DELIVERY_REPORTS:
        return dlr_xml.decode_push(push.body, zone=settings.zone, most_rows=most)
    if push.kind is _HLR_REPORTS:
        return hlr_dlr.decode_push(push.body, most_rows=most)
    return [inbound_sms.decode_push(push.query, names=settings.inbound, zone=settings.zone)]


def _authentic(event: Event, keys: Sequence[IdKey]) -> Event:
    """Give the event; a report on a message that is not ours becomes an unreadable row."""
    if not isinstance(event, DeliveryReport) or any(key.fits(event.message_id) for key in keys):
        return event
    return UnreadableRow(
        f"{event.message_id} {event.raw_status}", "the message id has no tag of ours"
    )
