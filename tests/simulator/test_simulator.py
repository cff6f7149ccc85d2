"""The simulator as a whole: its life, its addresses, and what it tells of itself."""

import asyncio
import logging
import traceback
from contextlib import suppress
from decimal import Decimal

import httpx
import pytest

from infobip_async.protocol.exchange import Endpoints
from infobip_async.simulator import Fault, Simulator
from scale import scaled

SECRET = "s3cr3t-of-the-test"
LOGIN = "username=user&password=password&cmd=CREDITS"
SEND = "user=user&password=password&sender=F&SMSText=t&GSM=385981"


def worth_a_line(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged, but for how slow the machine is, which asyncio tells in its debug mode."""
    return [record for record in caplog.records if record.name != "asyncio"]


@pytest.mark.parametrize("endpoints", [Endpoints.at, Endpoints.later])
async def test_both_sets_of_addresses_over_a_socket(ask, endpoints) -> None:
    """Paths of either generation, in any case."""
    async with Simulator() as simulator:
        url = endpoints(simulator.base_url).command.removeprefix(simulator.base_url)
        for target in (url, url.upper(), url.lower()):
            assert (await ask(simulator, "GET", f"{target}?{LOGIN}")).body == b"10000"


async def test_absolute_form(ask) -> None:
    """What a client behind a forward proxy sends, by GET and by POST."""
    async with Simulator() as simulator:
        target = f"http://api.infobip.com/api/command?{LOGIN}"
        assert (await ask(simulator, "GET", target)).body == b"10000"
        query = b"user=user&pass=password&destinations=385981"
        reply = await ask(simulator, "POST", "http://api.infobip.com/api/hlr/query.aspx", query)
        assert reply.body.startswith(b"OK\n385981;OK;")


async def test_requests_on_one_connection(connect) -> None:
    """A connection is kept open, after errors too."""
    async with Simulator() as simulator:
        wire = await connect(simulator)
        for _ in range(3):
            assert (await wire.ask("GET", "/nowhere")).status == 404
            assert len((await wire.ask("GET", f"/api/sendsms/plain?{SEND}")).body) == 18
        wire.writer.close()
        assert simulator.counts.messages == 3


@pytest.mark.parametrize("count", [1_000, pytest.param(scaled(50_000), marks=pytest.mark.proof)])
async def test_chunked_bodies_and_large_ones(connect, count: int) -> None:
    """More than a mebibyte, in chunks, as a streaming client writes it."""
    async with Simulator(credits=10**6) as simulator:
        wire = await connect(simulator)
        numbers = b";".join([b"38598514674"] * count)
        body = b"user=user&pass=password&x=%b&destinations=" % (b"x" * (1 << 20)) + numbers
        head = b"POST /api/hlr HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.writer.write(head)
        for start in range(0, len(body), 65_536):
            chunk = body[start : start + 65_536]
            wire.writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        wire.writer.write(b"0\r\n\r\n")
        assert (await wire.read()).body.count(b";OK;") == count
        wire.writer.close()


async def test_a_client_that_waits_to_be_asked_for_its_body(connect) -> None:
    """Some write the body only after the interim reply."""
    async with Simulator() as simulator:
        wire = await connect(simulator)
        body = b"user=user&pass=password&destinations=385981"
        wire.writer.write(
            b"POST /api/hlr HTTP/1.1\r\nHost: g\r\nExpect: 100-Continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.writer.write(body)
        assert (await wire.read()).body.startswith(b"OK\n385981;OK;")
        wire.writer.close()
        assert simulator.counts.requests == {"submit_hlr": 1}


async def test_a_client_of_http_1_0_is_not_asked_for_its_body(connect) -> None:
    """The interim reply came with HTTP/1.1: an older client would take it for the reply."""
    async with Simulator() as simulator:
        wire = await connect(simulator)
        body = b"user=user&pass=password&destinations=385981"
        head = b"POST /api/hlr HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        wire.writer.write(head % len(body) + body)
        assert (await wire.reader.readuntil(b"\r\n")).split()[1] == b"200"
        wire.writer.close()


async def test_octets_that_are_no_utf_8(ask) -> None:
    """A text in another charset is read, not refused."""
    async with Simulator() as simulator:
        await ask(simulator, "GET", f"/api/sendsms/plain?{SEND.replace('=t&', '=%E8%80&')}")
        assert simulator.messages[0].text == "è€"


async def test_credits_can_be_read_and_set(ask) -> None:
    """By the test, as by the account's owner."""
    async with Simulator(credits=Decimal("2.5")) as simulator:
        await ask(simulator, "GET", f"/api/sendsms/plain?{SEND}")
        assert simulator.credits == Decimal("1.5")
        simulator.credits = 7
        assert (await ask(simulator, "GET", f"/api/command?{LOGIN}")).body == b"7"


async def test_callbacks_can_be_set_later(sink) -> None:
    """The receiver's port may be known only afterwards."""
    async with Simulator() as simulator:
        assert simulator.callbacks is None
        simulator.callbacks = sink.urls
        assert simulator.callbacks == sink.urls
        assert await simulator.inbound("385981", "a") == (200,)


async def test_another_account(ask) -> None:
    """The gateway behind the socket has room for more."""
    async with Simulator() as simulator:
        simulator.gateway.open_account("other", "else", Decimal(3))
        target = "/api/command?username=other&password=else&cmd=CREDITS"
        assert (await ask(simulator, "GET", target)).body == b"3"


async def test_policies_are_given_on_construction(ask, sink) -> None:
    """What becomes of a message is the test's to say."""
    async with Simulator(delivery=lambda _: "EXPIRED", callbacks=sink.urls) as simulator:
        await ask(simulator, "GET", f"/api/sendsms/plain?{SEND}")
        await simulator.settled()
        assert b'status="EXPIRED"' in sink.pushes[0].body


async def test_down_and_up_again(connect, ask, port) -> None:
    """While it is down, connections are refused and those that were open are closed."""
    async with Simulator(port=port) as simulator:
        wire = await connect(simulator)
        await wire.ask("GET", "/nowhere")
        address = simulator.base_url
        async with simulator.down():
            assert await wire.reader.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await connect(simulator)
        assert simulator.base_url == address
        assert (await ask(simulator, "GET", f"/api/command?{LOGIN}")).body == b"10000"
        wire.writer.close()


async def test_ipv6() -> None:
    """The address stands in brackets."""
    async with Simulator(host="::1") as simulator:
        assert simulator.base_url.startswith("http://[::1]:")


async def test_a_stop_does_not_wait_for_what_hangs(connect, sink, clock, until, port) -> None:
    """Neither for a reply that never comes, nor for a receiver, a delay, or a repetition."""
    sink.held = asyncio.Event()
    async with asyncio.timeout(60):
        async with Simulator(callbacks=sink.urls, clock=clock, port=port) as simulator:
            wires = [await connect(simulator) for _ in range(4)]
            simulator.faults.add(Fault.HANG)
            simulator.faults.add(Fault.SLOW)
            for wire in wires[:2]:
                await wire.send("GET", f"/api/sendsms/plain?{SEND}")
            sink.statuses.append(500)
            await until(lambda: sink.pushes)
            simulator.gateway.report_delay = 1000
            await wires[2].ask("GET", f"/api/sendsms/plain?{SEND}")
            wires[3].writer.write(b"POST /api/hlr HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n")
        for wire in wires:
            with suppress(ConnectionResetError):  # octets of it were not read any more
                assert await wire.reader.read() == b""
            wire.writer.close()
        with pytest.raises(ConnectionRefusedError):
            await connect(simulator)


async def test_a_stop_drops_repetitions(ask, sink, clock) -> None:
    """A post that waits for its next turn is not waited for."""
    sink.statuses.append(500)
    async with asyncio.timeout(60):
        async with Simulator(callbacks=sink.urls, clock=clock) as simulator:
            await ask(simulator, "GET", f"/api/sendsms/plain?{SEND}")
            await simulator.settled()
            assert simulator.counts.answers == {500: 1}


async def test_a_client_that_goes_away(connect, caplog, clock, until) -> None:
    """Before its request is whole, before a reply that hangs, and before a slow one."""
    async with Simulator(clock=clock) as simulator:
        simulator.faults.add(Fault.HANG)
        simulator.faults.add(Fault.SLOW)
        for raw in (
            b"POST /api/hlr HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\nuser",
            f"GET /api/sendsms/plain?{SEND} HTTP/1.1\r\nHost: g\r\n\r\n".encode(),
            f"GET /api/sendsms/plain?{SEND} HTTP/1.1\r\nHost: g\r\n\r\n".encode(),
        ):
            before = simulator.counts.messages
            wire = await connect(simulator)
            wire.writer.write(raw)
            if raw.startswith(b"GET"):
                await until(lambda: simulator.counts.messages > before)  # noqa: B023 - awaited here
            wire.writer.transport.abort()
            await until(lambda: not simulator._http._server.connections)
        assert simulator.counts.messages == 2
    assert worth_a_line(caplog) == []


async def test_two_on_one_port() -> None:
    """The second says so, and leaves nothing behind."""
    async with Simulator() as first:
        port = int(first.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with Simulator(port=port):
                pass


async def test_no_secret_is_told(ask, sink, caplog) -> None:
    """Neither in a log record at any level, nor in a repr, nor in an error."""
    caplog.set_level(logging.DEBUG)
    callbacks = type(sink.urls)(*(f"http://127.0.0.1:{sink.port}/{SECRET}/x",) * 3)
    async with Simulator(password=SECRET, callbacks=callbacks) as simulator:
        query = SEND.replace("=password", f"={SECRET}")
        await ask(simulator, "GET", f"/api/sendsms/plain?{query}")
        sink.statuses.append(500)
        body = f"user=user&pass={SECRET}&destinations=385981".encode()
        await ask(simulator, "POST", "/api/hlr", body)
        await simulator.settled()
        try:
            simulator.gateway.delivery = lambda _: 1 / 0
            await ask(simulator, "GET", f"/api/sendsms/plain?{query}")
        except ArithmeticError:
            traceback.print_exc()
        told = [repr(simulator), repr(simulator.gateway), repr(simulator.gateway.accounts)]
        told += [repr(simulator.messages), repr(simulator.pushes), repr(simulator.counts)]
    assert len(sink.pushes) == 2
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text + "".join(told)
    assert "aiohttp.access" not in {record.name for record in caplog.records}


async def test_a_runner_of_no_requests_is_silent(caplog) -> None:
    """Starting and stopping is not worth a line."""
    async with Simulator():
        pass
    assert worth_a_line(caplog) == []


async def test_numbers_by_get_are_as_many_as_by_post() -> None:
    """The document names no limit (§4)."""
    numbers = ";".join(f"385985{at:06}" for at in range(1_000))
    async with Simulator() as simulator, httpx.AsyncClient(verify=False) as http:
        login = "user=user&pass=password"
        url = f"{simulator.base_url}/api/hlr/query.aspx?{login}&destinations={numbers}"
        reply = await http.get(url)
    assert reply.text.startswith("OK\n385985000000;OK;")
    assert len(reply.text.split()) == 1_001


GZIP = b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nXML=<"


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /api/sendsms/xml HTTP/1.1\r\nHost: x\r\n" + GZIP,
        b"GET /api/sendsms/plain?password=S3cr3t&SMSText=\xc5\xa1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_requests_that_are_no_http(simulator: Simulator, raw: bytes, caplog) -> None:
    """They are refused as such, and the password in them is not logged."""
    port = int(simulator.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    head = await reader.readuntil(b"\r\n")
    writer.close()
    assert b" 400 " in head
    assert "S3cr3t" not in caplog.text
