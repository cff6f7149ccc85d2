"""From a push as it arrived to the events in it, whichever of the three kinds it is."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo

import attrs

from infobip_async.models import Event
from infobip_async.protocol import dlr_xml, hlr_dlr, inbound_sms
from infobip_async.protocol.exchange import PushKind, RawPush


@attrs.frozen(kw_only=True)
class PushFormat:
    """What the account's settings say about its pushes.

    Attributes:
        zone: the gateway's time zone; without it dates are naive.
        inbound: query parameter to field of the inbound URL (§6).
    """

    zone: tzinfo | None = None
    inbound: Mapping[str, str] = inbound_sms.USUAL_NAMES


def decode(push: RawPush, settings: PushFormat) -> Sequence[Event]:
    """Read the events of a push, in order.

    Raises:
        RemoteProtocolError: the push as a whole cannot be read.
    """
    if push.kind is PushKind.DELIVERY_REPORTS:
        return dlr_xml.decode_push(push.body, zone=settings.zone)
    if push.kind is PushKind.HLR_REPORTS:
        return hlr_dlr.decode_push(push.body)
    return [inbound_sms.decode_push(push.query, names=settings.inbound, zone=settings.zone)]
