"""What becomes of messages and numbers unless the user of the simulator decides it.

A policy is a function of the number, or of the message, alone: so a test can ask it again what
should have been reported.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from infobip_async.models.events import DeliveryStatus, HlrStatus
from infobip_async.numbering.countries import EXTRATERRITORIAL, countries_of
from infobip_async.numbering.tables import bundled_tables
from infobip_async.simulator.records import HlrAnswer, SentMessage

UNREACHABLE: Final = HlrAnswer(HlrStatus.UNDELIV, error_code="1")
"""The answer about a number that the HLR does not know, as in the document's example (§5)."""

NO_CREDITS: Final = HlrAnswer(HlrStatus.UNKNOWN, error_code=None)
"""The answer to a lookup that the account cannot pay for: every field is empty (§5)."""

_IMSI_DIGITS = 15


def delivered(msisdn: str) -> DeliveryStatus:  # noqa: ARG001 - a policy is asked about a number
    """Deliver to every number."""
    return DeliveryStatus.DELIVERED


def no_extras(message: SentMessage) -> Mapping[str, str]:  # noqa: ARG001 - as above, of a message
    """Report with the document's four attributes alone."""
    return {}


def usual_extras(message: SentMessage, price: Decimal = Decimal("0.01")) -> Mapping[str, str]:
    """Report with the attributes that the gateway came to add, and that some clients need.

    Args:
        message: what is reported on.
        price: of each part.

    Returns:
        ``gsmerror``, 0 where the message was delivered; ``price`` and ``pducount``.
    """
    return {
        "gsmerror": "0" if message.status == DeliveryStatus.DELIVERED.value else "1",
        "price": f"{price * message.charged_parts:.4f}",
        "pducount": str(message.parts),
    }


def in_network(msisdn: str, network: str | None = None, roaming: str | None = None) -> HlrAnswer:
    """Find a number in a network, of its own country by default.

    The IMSI ends in the number's digits, and the MSC's address begins as the number does.

    Args:
        msisdn: the number.
        network: MCC and MNC in one; None for the first known one of the number's country, and
            where there is none the number is unreachable.
        roaming: the first digits of the serving MSC, such as the calling code of the country
            where the handset is; None for those of the number.
    """
    home = network or _first_network(countries_of(msisdn))
    if home is None:
        return UNREACHABLE
    digits = _IMSI_DIGITS - len(home)
    imsi = f"{home}{msisdn[-digits:]:0>{digits}}"
    return HlrAnswer(imsi=imsi, serving_msc=f"{roaming or msisdn[:5]}0501")


@cache
def _first_network(countries: tuple[str, ...]) -> str | None:
    """MCC and MNC of a network that serves one of some countries."""
    tables = bundled_tables()
    for code, network in tables.networks.items():
        home = tables.countries.get(network.mcc, "")
        if not {home, *EXTRATERRITORIAL.get(home, ())}.isdisjoint(countries):
            return code
    return None
