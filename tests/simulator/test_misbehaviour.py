"""Every fault of the replies, over real sockets, as a client of octets sees it."""

import asyncio

import pytest

from infobip_async.simulator import Fault

XML = "/AddOn/SMSService/XML/XMLInput.aspx"
HELLO = (
    b"XML=<SMS><authentification><username>user</username><password>p4ss</password>"
    b"</authentification><message><sender>Friend</sender><text>Hello</text></message>"
    b'<recipients><gsm messageId="a">38598514674</gsm></recipients></SMS>'
)
REPLY = b"<RESPONSE><status>1</status><credits>99</credits></RESPONSE>"
LOGIN = "user=user&pass=p4ss&destinations="
REQUESTS = {
    "send": ("POST", XML, HELLO),
    "send_one": (
        "GET",
        "/api/sendsms/plain?user=user&password=p4ss&sender=F&SMSText=t&GSM=38598514674",
        b"",
    ),
    "credits": ("GET", "/api/command?username=user&password=p4ss&cmd=CREDITS", b""),
    "pull_reports": ("GET", "/api/dlrpull?user=user&password=p4ss", b""),
    "submit_hlr": ("POST", "/api/hlr", f"{LOGIN}38598514674".encode()),
}


@pytest.fixture(params=["fresh", "reused"])
async def line(request, wire):
    """A connection on which nothing was asked yet, or one that is already in use."""
    if request.param == "reused":
        await wire.ask("GET", "/nothing")
    return wire


def carried_out(simulator) -> int:
    """How many copies of what was asked the gateway has."""
    assert sum(simulator.counts.requests.values()) == len(simulator.messages + simulator.lookups)
    return len(simulator.messages + simulator.lookups)


@pytest.mark.parametrize("operation", REQUESTS)
async def test_refuse(simulator, line, operation) -> None:
    """The connection is closed, and nothing was carried out."""
    simulator.faults.add(Fault.REFUSE, operation=operation)
    await line.send(*REQUESTS[operation])
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await line.read()
    assert simulator.counts.requests == {}
    assert carried_out(simulator) == 0
    assert simulator.credits == 100


@pytest.mark.parametrize("operation", ["send", "send_one", "submit_hlr"])
async def test_cut_before_the_reply(simulator, line, operation) -> None:
    """The connection is closed without an octet, and the request was carried out once."""
    simulator.faults.add("cut-before-reply", operation=operation)
    await line.send(*REQUESTS[operation])
    assert await line.reader.read() == b""
    assert carried_out(simulator) == 1
    [id_] = simulator.faults.struck(Fault.CUT_BEFORE_REPLY)
    made = [m.message_id or m.gateway_id for m in simulator.messages]
    assert [id_] == made + [lookup.lookup_id for lookup in simulator.lookups]


async def test_cut_inside_the_reply(simulator, line) -> None:
    """The head promises more than comes."""
    simulator.faults.add(Fault.CUT_INSIDE_REPLY)
    await line.send(*REQUESTS["send"])
    head, _, body = (await line.reader.read()).partition(b"\r\n\r\n")
    assert b"HTTP/1.1 200 OK" in head
    assert b"Content-Length: %d" % len(REPLY) in head
    assert body == REPLY[: len(REPLY) // 2]
    assert carried_out(simulator) == 1


async def test_an_unreadable_reply(simulator, line) -> None:
    """A page instead of a reply, with the status of success."""
    simulator.faults.add(Fault.UNREADABLE_REPLY)
    reply = await line.ask(*REQUESTS["send"])
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<html>")
    assert carried_out(simulator) == 1


async def test_status_500(simulator, line) -> None:
    """An HTML error page; the request was carried out."""
    simulator.faults.add("500")
    assert (await line.ask(*REQUESTS["send"])).status == 500
    assert carried_out(simulator) == 1


async def test_status_307(simulator, line) -> None:
    """A redirect to the same address: a client that followed would send twice."""
    simulator.faults.add("307", operation="send_one")
    reply = await line.ask(*REQUESTS["send_one"])
    assert (reply.status, reply.headers["Location"]) == (307, REQUESTS["send_one"][1])
    await line.ask("GET", reply.headers["Location"])
    assert carried_out(simulator) == 2


async def test_slow(simulator, line, clock, sink, until) -> None:
    """The reply comes when the time has passed; reports do not wait for it."""
    simulator.callbacks = sink.urls
    simulator.faults.add(Fault.SLOW, seconds=5)
    await line.send(*REQUESTS["send"])
    await until(lambda: sink.pushes)
    reading = asyncio.create_task(line.read())
    await clock.advance(4)
    assert not reading.done()
    await clock.advance(1)
    assert (await reading).body == REPLY


async def test_hang(simulator, line, until) -> None:
    """No reply, until the client gives up; the request was carried out, and others are served."""
    simulator.faults.add(Fault.HANG, operation="send")
    await line.send(*REQUESTS["send"])
    reading = asyncio.create_task(line.reader.read())
    await until(lambda: carried_out(simulator))
    assert not reading.done()
    reading.cancel()


async def test_one_fault_does_not_touch_the_next_request(simulator, line) -> None:
    """Used up, it is gone."""
    simulator.faults.add(Fault.STATUS_500)
    assert (await line.ask(*REQUESTS["credits"])).status == 500
    assert (await line.ask(*REQUESTS["credits"])).body == b"100"


async def test_a_report_before_its_reply(simulator, sink, line, until) -> None:
    """The reply waits until the receiver answered."""
    simulator.callbacks = sink.urls
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY)
    sink.held = asyncio.Event()
    await line.send("POST", "/api/hlr", f"{LOGIN}385981;385982".encode())
    reading = asyncio.create_task(line.read())
    await until(lambda: sink.pushes)
    assert b"385981" in sink.pushes[0].body
    assert b"385982" not in sink.pushes[0].body
    assert not reading.done()
    sink.held.set()
    reply = await reading
    assert reply.body.count(b";OK;") == 2
    await simulator.settled()
    assert b"385982" in sink.pushes[1].body
    [early] = simulator.faults.struck(Fault.REPORT_BEFORE_REPLY)
    assert early == simulator.lookups[0].lookup_id


async def test_a_refused_early_report_does_not_hold_the_reply(simulator, sink, line, clock) -> None:
    """It was tried once; its repetitions come after the reply."""
    simulator.callbacks = sink.urls
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY)
    sink.statuses.append(500)
    assert (await line.ask(*REQUESTS["send"])).body == REPLY
    assert len(sink.pushes) == 1
    await clock.advance(60)
    assert len(sink.pushes) == 2


async def test_an_early_report_can_be_pulled(simulator, line) -> None:
    """Without a URL it waits for a pull like any other."""
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY)
    await line.ask(*REQUESTS["send"])
    assert b'id="a"' in (await line.ask(*REQUESTS["pull_reports"])).body


async def test_many_early_reports_come_in_posts_of_100(simulator, sink, line) -> None:
    """The limit of rows holds for them too."""
    simulator.callbacks = sink.urls
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY, rate=1.0)
    numbers = ";".join(str(number) for number in range(385_000, 385_150))
    await line.ask("POST", "/api/hlr", (LOGIN + numbers).encode())
    assert [push.rows for push in simulator.pushes] == [100, 50]


@pytest.mark.parametrize(
    ("fault", "bodies"),
    [
        (Fault.DUPLICATE_REPORT, [["a", "b", "a"]]),
        (Fault.REORDERED_REPORTS, [["b", "a"]]),
        (Fault.LOST_REPORT, [["b"]]),
        (Fault.MALFORMED_ROW, [["", "b"]]),
    ],
)
async def test_faults_of_delivery_reports(simulator, sink, line, fault, bodies) -> None:
    """Each as the receiver gets it."""
    simulator.callbacks = sink.urls
    simulator.faults.add(fault)
    two = HELLO.replace(b"</gsm>", b'</gsm><gsm messageId="b">41793026727</gsm>')
    await line.ask("POST", XML, two)
    await simulator.settled()
    found = [
        [row.split(b'"')[0].decode() for row in push.body.split(b' id="')[1:]]
        for push in sink.pushes
    ]
    assert found == bodies


async def test_a_lost_report_cannot_be_pulled_either(simulator, line) -> None:
    """It is gone in both ways of collecting."""
    simulator.faults.add(Fault.LOST_REPORT)
    await line.ask(*REQUESTS["send"])
    assert (await line.ask(*REQUESTS["pull_reports"])).body == b"NO_DATA"


async def test_rates_over_many_requests(simulator, ask) -> None:
    """A share of the sends is cut, and every one was carried out."""
    simulator.faults.add(Fault.CUT_BEFORE_REPLY, rate=0.3)
    cut = 0
    for _ in range(50):
        try:
            await ask(simulator, *REQUESTS["send_one"])
        except asyncio.IncompleteReadError:
            cut += 1
    assert carried_out(simulator) == 50
    assert 0 < cut < 50
    assert len(simulator.faults.struck(Fault.CUT_BEFORE_REPLY)) == cut


async def test_reports_outlive_the_client(simulator, sink, connect, until) -> None:
    """A client that goes away before the reply does not take the reports with it."""
    simulator.callbacks = sink.urls
    simulator.faults.add(Fault.REPORT_BEFORE_REPLY)
    sink.held = asyncio.Event()
    wire = await connect(simulator)
    await wire.send("POST", "/api/hlr", f"{LOGIN}385981;385982".encode())
    await until(lambda: sink.pushes)
    wire.writer.transport.abort()
    await until(lambda: not simulator._http._server.connections)
    sink.held.set()
    await simulator.settled()
    assert [push.status for push in simulator.pushes] == [200, 200]
