"""What the gateway posts to the receiver, how often, and when (§3.1, §5)."""

import asyncio
from urllib.parse import parse_qs, quote_plus

import pytest

from infobip_async.protocol.exchange import CallbackUrls, PushKind
from infobip_async.simulator import Simulator

NOW = 1_700_000_000.0
XML = "/AddOn/SMSService/XML/XMLInput.aspx"
HLR = "/api/hlr/query.aspx"
PULL = "/api/dlrpull?user=user&password=p4ss"


def document(*ids: str) -> bytes:
    """The body of a send to a recipient for each id."""
    recipients = "".join(f'<gsm messageId="{id_}">3859851{n:04}</gsm>' for n, id_ in enumerate(ids))
    return (
        "XML=<SMS><authentification><username>user</username><password>p4ss</password>"
        "</authentification><message><sender>Friend</sender><text>Hello</text></message>"
        f"<recipients>{recipients}</recipients></SMS>"
    ).encode()


def query(*numbers: int) -> bytes:
    """The body of a query."""
    return f"user=user&pass=p4ss&destinations={quote_plus(';'.join(map(str, numbers)))}".encode()


def rows(body: bytes) -> list[str]:
    """The rows of a post of HLR reports."""
    return parse_qs(body.decode(), strict_parsing=True)["dlr"][0].split("\n")


async def test_reports_of_one_request_come_in_one_post(simulator, sink, wire) -> None:
    """The document is the raw body, its dates are not padded."""
    simulator.callbacks = sink.urls
    await wire.ask("POST", XML, document("a", "b&quot;&amp;&lt;"))
    await simulator.settled()
    [push] = sink.pushes
    date = 'sentdate="2023/11/14 22:13:20" donedate="2023/11/14 22:13:20"'
    assert push.body.decode() == (
        f'<DeliveryReport><message id="a" {date} status="DELIVERED" />'
        f'<message id=\'b"&amp;&lt;\' {date} status="DELIVERED" /></DeliveryReport>'
    )
    assert (push.method, push.target) == ("POST", "/dlr")
    assert push.content_type == "text/xml; charset=utf-8"


async def test_hlr_reports_come_as_a_form(simulator, sink, wire) -> None:
    """Rows of six fields in the field ``dlr``."""
    simulator.callbacks = sink.urls
    reply = await wire.ask("POST", HLR, query(385981, 99912345678))
    first, second = (row.split(";")[2] for row in reply.body.decode().split("\n")[1:3])
    await simulator.settled()
    [push] = sink.pushes
    assert (push.method, push.target, push.content_type) == (
        "POST",
        "/hlr",
        "application/x-www-form-urlencoded",
    )
    good, bad = rows(push.body)
    destination, lookup_id, status, imsi, msc, error = good.split(";")
    assert (destination, lookup_id, status, msc, error) == (
        "385981",
        first,
        "DELIVRD",
        "385980501",
        "0",
    )
    assert imsi.startswith("219")
    assert bad == f"99912345678;{second};UNDELIV;;;1"


async def test_at_most_100_rows_in_a_post(simulator, sink, wire) -> None:
    """A query of 250 numbers is reported in three posts."""
    simulator.callbacks = sink.urls
    await wire.ask("POST", HLR, query(*range(385_000, 385_250)))
    await simulator.settled()
    assert sorted(len(rows(push.body)) for push in sink.pushes) == [50, 100, 100]
    assert {row.split(";")[0] for push in sink.pushes for row in rows(push.body)} == {
        str(number) for number in range(385_000, 385_250)
    }
    assert sorted(push.rows for push in simulator.pushes) == [50, 100, 100]
    assert simulator.counts.lookups == 250


async def test_posts_in_flight_are_bounded_and_fill_up(simulator, sink, wire, until) -> None:
    """While the receiver is busy, what waits is gathered into fuller posts."""
    simulator.callbacks = sink.urls
    sink.held = asyncio.Event()
    for number in range(385_000, 385_010):
        await wire.ask("POST", HLR, query(number))
    await until(lambda: sink.at_once == 4)
    sink.held.set()
    await simulator.settled()
    assert sink.most_at_once == 4
    assert [len(rows(push.body)) for push in sink.pushes] == [1, 1, 1, 1, 6]


async def test_the_ladder(simulator, sink, wire, clock) -> None:
    """60 seconds, five minutes, then every hour of 24; after that the reports are lost (§3.1)."""
    simulator.callbacks = sink.urls
    sink.statuses.extend([500] * 100)
    await wire.ask("POST", XML, document("a", "b"))
    await simulator.settled()
    assert simulator.counts.answers == {500: 1}
    await clock.advance(7 * 24 * 3600)
    due = [NOW, NOW + 60, NOW + 360, *(NOW + 360 + 3600 * hour for hour in range(1, 25))]
    assert [push.at for push in simulator.pushes] == due
    assert {push.body for push in sink.pushes} == {sink.pushes[0].body}
    assert (simulator.counts.given_up, simulator.counts.pushes) == (1, 27)


@pytest.mark.parametrize("failure", [500, 404, 302, 0])
async def test_the_ladder_ends_when_the_reports_are_taken(
    simulator, sink, wire, clock, failure
) -> None:
    """Anything but 2xx is a failure, and so is no answer; nothing is posted after a 200."""
    simulator.callbacks = sink.urls
    sink.statuses.extend([failure, failure, 204])
    await wire.ask("POST", XML, document("a"))
    await clock.advance(60)
    assert len(sink.pushes) == 2
    await clock.advance(299)
    assert len(sink.pushes) == 2
    await clock.advance(24 * 3600)
    assert len(sink.pushes) == 3
    no_answer_is_none = failure or None
    assert [push.status for push in simulator.pushes] == [no_answer_is_none] * 2 + [204]
    assert [push.successful for push in simulator.pushes] == [False, False, True]
    assert simulator.counts.given_up == 0


async def test_hlr_reports_are_not_repeated(simulator, sink, wire, clock) -> None:
    """The document promises repetition for delivery reports only."""
    simulator.callbacks = sink.urls
    sink.statuses.append(500)
    await wire.ask("POST", HLR, query(385981))
    await clock.advance(48 * 3600)
    assert len(sink.pushes) == 1
    assert simulator.counts.given_up == 1


async def test_a_receiver_that_is_not_there(simulator, wire, clock, port) -> None:
    """A refused connection is no answer, and on the ladder like any failure."""
    address = f"http://127.0.0.1:{port}/"
    simulator.callbacks = CallbackUrls(address, address, address)
    await wire.ask("POST", XML, document("a"))
    await clock.advance(60)
    assert [push.status for push in simulator.pushes] == [None, None]


async def test_an_address_of_another_kind(simulator, wire) -> None:
    """What is no http address gets no answer, and harms nothing."""
    simulator.callbacks = CallbackUrls("ftp://a/", "ftp://a/", "ftp://a/")
    await wire.ask("POST", XML, document("a"))
    await simulator.settled()
    assert simulator.counts.answers == {None: 1}


async def test_a_receiver_that_hangs(sink, clock, ask) -> None:
    """After the timeout the gateway goes on."""
    sink.held = asyncio.Event()
    async with Simulator(callbacks=sink.urls, clock=clock, push_timeout=0.01) as simulator:
        await ask(simulator, "POST", HLR, query(385981).replace(b"p4ss", b"password"))
        await simulator.settled()
        assert simulator.counts.answers == {None: 1}


async def test_reports_wait_for_their_time(simulator, sink, wire, clock) -> None:
    """Nothing is pushed before the delay has passed."""
    simulator.gateway.report_delay = 5.0
    simulator.callbacks = sink.urls
    await wire.ask("POST", XML, document("a"))
    await clock.advance(4.9)
    assert sink.pushes == []
    await clock.advance(0.1)
    assert len(sink.pushes) == 1
    assert b'donedate="2023/11/14 22:13:25"' in sink.pushes[0].body


async def test_reports_wait_for_a_pull_without_a_url(simulator, wire, clock) -> None:
    """As soon as they are due, and once."""
    simulator.gateway.report_delay = 5.0
    await wire.ask("POST", XML, document("a", "b"))
    assert (await wire.ask("GET", PULL)).body == b"NO_DATA"
    await clock.advance(5)
    assert (await wire.ask("GET", PULL)).body.count(b"<message ") == 2
    assert (await wire.ask("GET", PULL)).body == b"NO_DATA"


async def test_hlr_reports_without_a_url_are_lost(simulator, wire) -> None:
    """There is no other way to give them; they are counted."""
    await wire.ask("POST", HLR, query(385981, 385982))
    await simulator.settled()
    assert simulator.counts.unaddressed == 2
    assert simulator.pushes == ()


async def test_a_url_that_is_withdrawn(simulator, sink, wire, until) -> None:
    """Reports that were on their way are lost with it."""
    simulator.callbacks = sink.urls
    sink.held = asyncio.Event()
    for number in range(385_000, 385_006):
        await wire.ask("POST", HLR, query(number))
    await until(lambda: sink.at_once == 4)
    simulator.callbacks = None
    sink.held.set()
    await simulator.settled()
    assert (len(sink.pushes), simulator.counts.unaddressed) == (4, 2)


async def test_attempts_are_on_record(simulator, sink, wire) -> None:
    """What was pushed where, and what came of it; no address is in it, for it holds a secret."""
    simulator.callbacks = sink.urls
    await wire.ask("POST", XML, document("a", "b"))
    await simulator.settled()
    [push] = simulator.pushes
    assert (push.kind, push.rows, push.at, push.status) == (
        PushKind.DELIVERY_REPORTS,
        2,
        NOW,
        200,
    )
    assert simulator.counts.answers == {200: 1}


async def test_what_is_kept_can_be_bounded(sink, clock, ask) -> None:
    """Counts go on; of the records the latest are kept."""
    async with Simulator(callbacks=sink.urls, clock=clock, keep=1) as simulator:
        for id_ in "abc":
            await ask(simulator, "POST", XML, document(id_).replace(b"p4ss", b"password"))
            await simulator.settled()
        assert [message.message_id for message in simulator.messages] == ["c"]
        assert len(simulator.pushes) == 1
        assert (simulator.counts.messages, simulator.counts.pushes) == (3, 3)
