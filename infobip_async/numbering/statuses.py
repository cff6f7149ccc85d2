"""What the document says of the statuses and error codes of an HLR report (§5), and no more."""

from collections.abc import Mapping
from types import MappingProxyType

from infobip_async.models import HlrStatus

STATUSES: Mapping[HlrStatus, str] = MappingProxyType(
    {
        HlrStatus.DELIVRD: "the HLR was queried without an error",
        HlrStatus.UNDELIV: "there was an error",
        HlrStatus.UNKNOWN: "there was any other error, such as no credits",
    }
)
"""The meaning of each status."""

ERROR_CODES: Mapping[str, str] = MappingProxyType(
    {
        "0": "stands beside DELIVRD in the example",
        "1": "stands beside UNDELIV in the example",
    }
)
"""All that there is on error codes: the document explains none, its example shows these two."""
