"""Reports checked by hand: what each means, and where that is written.

The sources: `§` is the document. `E.212` is the ITU's list of mobile network codes, annexed to its
Operational Bulletin 1162; `since` names the operator of today, by Wikipedia's list of mobile
network codes. `E.164` is the ITU's list of calling codes, and for places within one the national
plan that is named: `NANP`, `Ofcom`, `BNetzA`, `HAKOM`, `BAKOM`, `UKE`, `Arcep`. But for the numbers
that the document shows, no row is of a real subscriber.
"""

import pytest

from infobip_async.models.events import HlrReport, HlrStatus
from infobip_async.numbering import NumberRanges, interpret

RANGES = NumberRanges(
    {
        "38591": "A1 Telekom",  # HAKOM
        "38595": "Tele2",  # HAKOM; Telemach since 2021
        "38598": "Hrvatski Telekom",  # HAKOM
        "4176": "Sunrise",  # BAKOM
        "4179": "Swisscom",  # BAKOM
        "49170": "T-Mobile",  # BNetzA
        "49172": "Vodafone",  # BNetzA
        "49177": "Eplus",  # BNetzA; merged into Telefónica in 2014
        "48501": "Orange",  # UKE
        "48601": "Plus",  # UKE
    }
)

MTS = "\u041c\u0422\u0421"
"""As the table has it, in Cyrillic letters."""

# source; the row as §5 has it, without its lookup id; MCC-MNC, country of the IMSI, operator;
# country of the number, of the MSC; reachable, roaming, ported, and the flags
REPORTS = [
    (
        "§5, the example, first row. E.164: 234 Nigeria, 385 Croatia. E.212: 201 is not assigned",
        "23423423232;DELIVRD;2019011231213;385980501;0",
        ("201-90", None, None, "NG", "HR", "yes unknown unknown assumed"),
    ),
    (
        "§5, the example, second row",
        "23423423231;UNDELIV;;;1",
        (None, None, None, "NG", None, "no unknown unknown"),
    ),
    (
        "§5: UNKNOWN, as with no credits; the other fields are empty",
        "38598303174;UNKNOWN;;;",
        (None, None, None, "HR", None, "unknown unknown unknown"),
    ),
    (
        "§2/2, the number. E.212: 219 01 T-Mobile, since Hrvatski Telekom. HAKOM: 98 is its range",
        "38598514674;DELIVRD;219011234567890;385980501;0",
        ("219-01", "HR", "Hrvatski Telekom", "HR", "HR", "yes no no"),
    ),
    (
        "E.212: 219 10 VIPnet, since A1. HAKOM: 91 is its range. E.164: 43 Austria",
        "385911234567;DELIVRD;219101234567890;436640501;0",
        ("219-10", "HR", "A1/Tomato", "HR", "AT", "yes yes no"),
    ),
    (
        "§4, the number. E.212: 219 10 VIPnet, since A1. HAKOM: 98 is Hrvatski Telekom's range",
        "38598303174;DELIVRD;219101234567890;385910401;0",
        ("219-10", "HR", "A1/Tomato", "HR", "HR", "yes no yes"),
    ),
    (
        "E.212: 219 02 Tele2, since Telemach. HAKOM: 95 is its range",
        "385951234567;DELIVRD;219021234567890;385951000;0",
        ("219-02", "HR", "Telemach", "HR", "HR", "yes no no"),
    ),
    (
        "E.212: 219 01 T-Mobile, since Hrvatski Telekom. HAKOM: 95 is Tele2's. E.164: 387 Bosnia",
        "385951234567;DELIVRD;219011234567890;38761000100;0",
        ("219-01", "HR", "Hrvatski Telekom", "HR", "BA", "yes yes yes"),
    ),
    (
        "§2/1.2, the number. E.212: 228 01 Swisscom. BAKOM: 79 is its range",
        "41793026727;DELIVRD;228011234567890;41794999000;0",
        ("228-01", "CH", "Swisscom", "CH", "CH", "yes no no"),
    ),
    (
        "§2/1.2, the number. E.212: 228 02 Sunrise. BAKOM: 79 is Swisscom's range. E.164: 39 Italy",
        "41793026727;DELIVRD;228021234567890;393358840000;0",
        ("228-02", "CH", "Sunrise", "CH", "IT", "yes yes yes"),
    ),
    (
        "§4, the number. E.212: 262 02 Vodafone. BNetzA: 170 is Telekom's, once T-Mobile",
        "49170111222;DELIVRD;262021234567890;491720000001;0",
        ("262-02", "DE", "Vodafone", "DE", "DE", "yes no yes"),
    ),
    (
        "§4, the number. E.212: 262 01 Telekom. BNetzA: 170 is its range",
        "49170111222;DELIVRD;262011234567890;491710760000;0",
        ("262-01", "DE", "Telekom", "DE", "DE", "yes no no"),
    ),
    (
        "E.212: 262 03 E-Plus, since Telefónica, which took it over. BNetzA: 177 was E-Plus's",
        "491771234567;DELIVRD;262031234567890;491770600000;0",
        ("262-03", "DE", "Telefonica", "DE", "DE", "yes no no"),
    ),
    (
        "E.212: 260 03 Orange. UKE: 601 is Plus's range",
        "48601123456;DELIVRD;260031234567890;48501200777;0",
        ("260-03", "PL", "Orange", "PL", "PL", "yes no yes"),
    ),
    (
        "E.212: 260 06 P4 (Play). UKE: 601 is Plus's range; Play has none in the table of ranges",
        "48601123456;DELIVRD;260061234567890;48790998250;0",
        ("260-06", "PL", "PLAY", "PL", "PL", "yes no unknown"),
    ),
    (
        "E.212: 310 260 T-Mobile USA, three digits. NANP: 206 Seattle",
        "12065550100;DELIVRD;310260123456789;12063130004;0",
        ("310-260", "US", "T-Mobile - US", "US", "US", "yes no unknown"),
    ),
    (
        "Android's carrier list: 310 026 T-Mobile USA, which is neither 310 26 nor 310 260",
        "12065550100;DELIVRD;310026123456789;12063130004;0",
        ("310-026", "US", "T-Mobile - US", "US", "US", "yes no unknown"),
    ),
    (
        "E.212: 310 410 AT&T. NANP: 416 Toronto",
        "12145550100;DELIVRD;310410123456789;14165550100;0",
        ("310-410", "US", "AT&T", "US", "CA", "yes yes unknown"),
    ),
    (
        "E.212: 310 260 T-Mobile USA, in Puerto Rico too (since). NANP: 787 Puerto Rico",
        "17875550100;DELIVRD;310260123456789;17875550199;0",
        ("310-260", "US", "T-Mobile - US", "PR", "PR", "yes unknown unknown"),
    ),
    (
        "E.212: 302 720 Rogers, three digits. NANP: 604 Vancouver",
        "16045550100;DELIVRD;302720123456789;16045550199;0",
        ("302-720", "CA", "Rogers", "CA", "CA", "yes no unknown"),
    ),
    (
        "E.212: 302 has no 999; the length is what Canada uses",
        "16045550100;DELIVRD;302999123456789;16045550199;0",
        ("302-999", "CA", None, "CA", "CA", "yes no unknown assumed"),
    ),
    (
        "E.212: 334 020 Radiomóvil Dipsa (Telcel), three digits. E.164: 52 Mexico",
        "525512345678;DELIVRD;334020123456789;525500000000;0",
        ("334-020", "MX", "Telcel", "MX", "MX", "yes no unknown"),
    ),
    (
        "E.212: 404 10 Bharti Airtel Delhi, two digits. E.164: 91 India",
        "919812345678;DELIVRD;404101234567890;919810051905;0",
        ("404-10", "IN", "Airtel", "IN", "IN", "yes no unknown"),
    ),
    (
        "E.212: 405 799 Idea, since Vi: three digits, unlike 404. E.164: 971 United Arab Emirates",
        "919702012345;DELIVRD;405799123456789;971500000001;0",
        ("405-799", "IN", "Vi", "IN", "AE", "yes yes unknown"),
    ),
    (
        "E.212: 405 030 Tata; since also 405 03 Reliance",
        "918012345678;DELIVRD;405030123456789;919810051905;0",
        ("405-030", "IN", "TATA DOCOMO", "IN", "IN", "yes no unknown ambiguous"),
    ),
    (
        "E.212: 722 310 CTI, since Claro: three digits. E.164: 54 Argentina",
        "5491123456789;DELIVRD;722310123456789;541151740000;0",
        ("722-310", "AR", "Claro AR", "AR", "AR", "yes no unknown"),
    ),
    (
        "E.212: 732 101 Comcel, since Claro: three digits. E.164: 57 Colombia, 58 Venezuela",
        "573101234567;DELIVRD;732101123456789;584120000001;0",
        ("732-101", "CO", "Claro CO", "CO", "VE", "yes yes unknown"),
    ),
    (
        "E.212: 714 020 Telefónica and 714 02 BSC are both of Panama. E.164: 507 Panama",
        "50761234567;DELIVRD;714020123456789;50761000001;0",
        ("714-020", "PA", "Movistar", "PA", "PA", "yes no unknown ambiguous"),
    ),
    (
        "E.212: 338 050 Digicel, which uses it on other islands too. NANP: 246 Barbados",
        "12465550100;DELIVRD;338050123456789;12465550199;0",
        ("338-050", "JM", "Mossel (Jamaica) Ltd.", "BB", "BB", "yes unknown unknown"),
    ),
    (
        "E.212: 234 10 Telefónica UK (O2). Ofcom: 7700 900 is for drama, 7802 O2's",
        "447700900123;DELIVRD;234101234567890;447802000332;0",
        ("234-10", "GB", "O2", "GB", "GB", "yes no unknown"),
    ),
    (
        "E.212: 234 50 Jersey Telecom, under the code of Great Britain. Ofcom: 7797 Jersey",
        "447797712345;DELIVRD;234501234567890;447797000001;0",
        ("234-50", "GB", "Jersey Telecom", "JE", "JE", "yes unknown unknown"),
    ),
    (
        "E.212: 219 10 VIPnet, since A1. Ofcom: 7 is for mobiles of Great Britain and the islands",
        "385911234567;DELIVRD;219101234567890;447XXXXXXXXX;0",
        ("219-10", "HR", "A1/Tomato", "HR", None, "yes yes no"),
    ),
    (
        "E.212: 250 01 Mobile TeleSystems (MTS). E.164: 7 9 Russia, 7 7 Kazakhstan",
        "79161234567;DELIVRD;250011234567890;77010000501;0",
        ("250-01", "RU", MTS, "RU", "KZ", "yes yes unknown"),
    ),
    (
        "E.212: 401 02 Kazakhtelecom, since Kcell. E.164: 7 7 Kazakhstan",
        "77011234567;DELIVRD;401021234567890;77010000501;0",
        ("401-02", "KZ", "Kcell/activ", "KZ", "KZ", "yes no unknown"),
    ),
    (
        "E.212: 340 01 Orange. Arcep: 590 690 is for Guadeloupe, Saint Martin and Saint Barthélemy",
        "590690123456;DELIVRD;340011234567890;590690000001;0",
        ("340-01", "GP", "Orange Caraïbe Mobiles", None, None, "yes unknown unknown"),
    ),
    (
        "E.212: 647 10 Société Réunionnaise. Arcep: 262 692 Réunion. E.164: 33 France",
        "262692123456;DELIVRD;647101234567890;33609000001;0",
        ("647-10", "RE", "Société Réunionnaise du Radiotéléphone", "RE", "FR", "yes yes unknown"),
    ),
    (
        "E.212: 901 is of no country; since 28 is Vodafone's. E.164: 882 neither",
        "882361234567;DELIVRD;901281234567890;447802000332;0",
        ("901-28", None, "Vodafone GDSP", None, "GB", "yes unknown unknown"),
    ),
    (
        "E.212: 262 01 Telekom in Germany. E.164: 385 Croatia; numbers are not ported abroad",
        "385911234567;DELIVRD;262011234567890;491710760000;0",
        ("262-01", "DE", "Telekom", "HR", "DE", "yes no unknown"),
    ),
    (
        "§5: a field may be empty; here the MSC. E.212: 655 01 Vodacom",
        "27821234567;DELIVRD;655011234567890;;0",
        ("655-01", "ZA", "Vodacom", "ZA", None, "unknown unknown unknown"),
    ),
    (
        "E.212: 655 01 Vodacom. E.164: 258 Mozambique; an error code that §5 does not explain",
        "27821234567;UNDELIV;655011234567890;258840000001;27",
        ("655-01", "ZA", "Vodacom", "ZA", "MZ", "no yes unknown"),
    ),
]


def read(row):
    """A row of §5 without its lookup id, as a report."""
    destination, status, *fields = row.split(";")
    imsi, msc, code = (field or None for field in fields)
    return HlrReport(destination, "id", HlrStatus(status), status, imsi, msc, code)


def test_there_are_forty():
    """None was lost."""
    assert len(REPORTS) == 40


@pytest.mark.parametrize(("source", "row", "expected"), REPORTS, ids=[row for _, row, _ in REPORTS])
def test_report(source, row, expected):
    """A report means what its source says."""
    found = interpret(read(row), ranges=RANGES)
    answers = (found.reachable, found.roaming, found.ported)
    flags = [name for name in ("ambiguous", "assumed") if getattr(found, name)]
    assert (
        found.mcc and f"{found.mcc}-{found.mnc}",
        found.imsi_country,
        found.operator,
        found.number_country,
        found.msc_country,
        " ".join([answer.value for answer in answers] + flags),
    ) == expected, source
