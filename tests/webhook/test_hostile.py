"""What cannot be read, by accident or on purpose."""

import pytest

REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE DeliveryReport>" + REPORT,
        b'<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd">' + REPORT,
        b'<!DOCTYPE d [<!ENTITY l0 "lol">' + LAUGHS + b"]>" + REPORT.replace(b"1", b"&l9;"),
        b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + REPORT.replace(b"1", b"&x;"),
        REPORT.replace(b"1", b"&lol;"),
        b"<a>" * 100_000,
        REPORT[:-5],
        REPORT + REPORT,
        b"<html><body>Not found</body></html>",
        b"",
        b"\x00",
        b"NO_DATA",
        b"a=%3Ca/%3E&b=%3Cb/%3E",
    ],
)
async def test_no_delivery_reports(receiver, body):
    """What is no delivery report, or more than one, gets a 400 that repeats nothing of it."""
    reply = await receiver.post("dlr", body)

    assert (reply.status, reply.body) == (400, b"400: Bad Request")
    assert receiver.events == []
    assert (await receiver.post("dlr", REPORT)).status == 200


@pytest.mark.parametrize("body", [b"", b"dlr=1;2;DELIVRD;;;0&dlr=1;2;UNDELIV;;;1", b"x=1", b"\xff"])
async def test_no_hlr_reports(receiver, body):
    """A form without its field, or with two of them, is not guessed at."""
    assert (await receiver.post("hlr", body)).status == 400
    assert receiver.events == []


async def test_hlr_rows_that_are_no_text(receiver):
    """Octets that are no text cost their row only."""
    rows = [b"1;a;DELIVRD;%FF;;0", b"2;b;DELIVRD;;;0", b"3;c;DELIVRD;%00;;0", b"4;d;UNDELIV;;;1"]

    assert (await receiver.post("hlr", b"dlr=" + b"%0A".join(rows))).status == 200
    assert [event.destination for event in receiver.events] == ["2", "4"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sender=1",
        "sender=1&text=x&TEXT=y",
        "sender=1&bin=XYZ",
    ],
)
async def test_no_inbound_sms(receiver, query):
    """What is no inbound SMS, or could be read in two ways, is refused."""
    reply = await receiver.inbound(query)

    assert (reply.status, reply.body) == (400, b"400: Bad Request")
    assert receiver.events == []


async def test_what_is_logged_of_it(receiver, warnings_of):
    """The log tells why, without what was in it."""
    await receiver.inbound("sender=38598&text=secret&text=text")

    (warning,) = warnings_of()
    assert warning.startswith("refused a push to inbound: ")
    assert "38598" not in warning
    assert "text" not in warning.partition(": ")[2]
