"""Results as lines."""

import io
import json

import pytest

from infobip_async import HlrOutcome, HlrReport, HlrResult, HlrStatus
from infobip_async.cli.output import Output
from infobip_async.lists import ListNumber, ListRow
from infobip_async.numbering import NumberingPlan, NumberRanges

REPORTED = HlrResult(
    ListNumber(ListRow(2, 1, "38598514674")),
    HlrOutcome.REPORTED,
    "id-1",
    HlrReport(
        "38598514674",
        "id-1",
        HlrStatus.DELIVRD,
        "DELIVRD",
        "219011234567890",
        "385980501",
        "0",
    ),
)
REFUSED = HlrResult(ListNumber(ListRow(9, 8, "n/a")), HlrOutcome.REFUSED, reason="status 'FAILED'")
PLAIN = "position,destination,outcome,lookup_id,status,imsi,serving_msc,error_code,reason"
MEANINGS = (
    "reachable,roaming,ported,mcc,mnc,ambiguous,assumed,operator"
    ",number_country,imsi_country,msc_country"
)


def _written(*rows: HlrResult, **settings: object) -> str:
    stream = io.StringIO()
    output = Output(open=lambda: stream, **({"form": "csv"} | settings))
    for row in rows:
        output.write([row])
    output.write([])
    return stream.getvalue()


_REPORTED_LINE = "1,38598514674,reported,id-1,DELIVRD,219011234567890,385980501,0,"
_REFUSED_LINE = "8,n/a,refused,,,,,,status 'FAILED'"
_MEANT = ",yes,no,unknown,219,01,no,no,Hrvatski Telekom,HR,HR,HR"


@pytest.mark.parametrize(
    ("rows", "settings", "expected"),
    [
        ((), {"meanings": False}, [PLAIN]),
        ((), {"form": "jsonl"}, []),
        (
            (REPORTED, REFUSED),
            {"meanings": False},
            [PLAIN, _REPORTED_LINE, _REFUSED_LINE],
        ),
        (
            (REPORTED, REFUSED),
            {},
            [f"{PLAIN},{MEANINGS}", _REPORTED_LINE + _MEANT, _REFUSED_LINE + "," * 11],
        ),
        (
            (REPORTED,),
            {"ranges": NumberRanges({"38598": "T-Mobile"}, NumberingPlan())},
            [
                f"{PLAIN},{MEANINGS},number_type,range_holder",
                f"{_REPORTED_LINE}{_MEANT},mobile,T-Mobile",
            ],
        ),
    ],
)
def test_rows_are_written(
    rows: tuple[HlrResult, ...], settings: dict[str, object], expected: list[str]
) -> None:
    """There is one header, and a line for each row, with the columns that are wanted."""
    assert _written(*rows, **settings).splitlines() == expected


def test_json_has_the_names() -> None:
    """Each line is an object; what is not known is null."""
    first, second = map(json.loads, _written(REPORTED, REFUSED, form="jsonl").splitlines())
    assert list(first) == f"{PLAIN},{MEANINGS}".split(",")
    assert (first["position"], first["operator"], first["reason"]) == (1, "Hrvatski Telekom", None)
    assert (second["position"], second["operator"]) == (8, None)


def test_rows_are_counted() -> None:
    """The summary knows what was written."""
    output = Output(open=io.StringIO, form="csv")
    output.write([REPORTED, REFUSED])
    assert output.summary.outcomes == {HlrOutcome.REPORTED: 1, HlrOutcome.REFUSED: 1}
