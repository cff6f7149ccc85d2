"""Numbers: which ones can be written to the wire, and what an HLR's answer about one means.

`normalise` reads numbers as people write them; `interpret` says what an `HlrReport` means. The
tables that they need come with the package and are read at their first use.
"""

from infobip_async.numbering.countries import countries_of
from infobip_async.numbering.imsi import ImsiParts, split_imsi
from infobip_async.numbering.interpret_report import (
    ERROR_CODES,
    STATUSES,
    Answer,
    Interpretation,
    interpret,
)
from infobip_async.numbering.msisdn import (
    check_destination,
    check_destinations,
    check_lookup_destination,
    check_lookup_destinations,
    check_sender,
    is_numeric_sender,
)
from infobip_async.numbering.normalising import normalise
from infobip_async.numbering.plan import NumberingPlan, NumberType
from infobip_async.numbering.ranges import NumberRange, NumberRanges
from infobip_async.numbering.tables import Network, Tables, bundled_tables

__all__ = [
    "ERROR_CODES",
    "STATUSES",
    "Answer",
    "ImsiParts",
    "Interpretation",
    "Network",
    "NumberRange",
    "NumberRanges",
    "NumberType",
    "NumberingPlan",
    "Tables",
    "bundled_tables",
    "check_destination",
    "check_destinations",
    "check_lookup_destination",
    "check_lookup_destinations",
    "check_sender",
    "countries_of",
    "interpret",
    "is_numeric_sender",
    "normalise",
    "split_imsi",
]
