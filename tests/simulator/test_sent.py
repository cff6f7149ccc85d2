"""In a test's words: what was sent, with its parts joined; and the file of what arrived."""

import asyncio
import json
import stat

import pytest

from infobip_async import BinaryMessage, Endpoints, InfobipClient, TextMessage
from infobip_async.simulator import Simulator
from infobip_async.simulator.handset import shown
from platforms import needs_modes

LONG = "ž" * 100


@pytest.fixture
async def client(simulator):
    """A client on the account."""
    endpoints = Endpoints.at(simulator.base_url)
    async with InfobipClient("user", "p4ss", endpoints=endpoints) as client:
        yield client


async def test_what_was_sent_is_found(simulator, client) -> None:
    """By any of its sides."""
    await client.send(TextMessage("Hello", sender="Friend"), ["38590", "38591000"])
    found = simulator.assert_sent(to="38591000", text="Hello", sender="Friend")
    assert (found.msisdn, found.text, found.sender) == ("38591000", "Hello", "Friend")
    assert simulator.assert_sent(contains="ell").msisdn == "38590"


async def test_parts_are_one_message(simulator, client) -> None:
    """Which is as long as its text, and flashes where it did."""
    await client.send(TextMessage(LONG, sender="Friend", flash=True), "38591000")
    found = simulator.assert_sent(text=LONG)
    assert ([part.parts for part in found.parts], found.missing, found.flash) == ([1, 1], (), True)


async def test_a_part_alone_is_no_message(simulator, client) -> None:
    """Its other part may still come."""
    part = BinaryMessage(
        "ž".encode("utf-16-be"), sender="Friend", data_coding=8, udh=bytes.fromhex("050003010201")
    )
    await client.send(part, "38591000")
    with pytest.raises(AssertionError, match="no message to 38591000 was sent"):
        simulator.assert_sent(to="38591000")
    (whole,) = shown(simulator.messages)
    assert (whole.text, whole.missing, whole.total) == ("ž", (2,), 2)


async def test_a_reference_used_again_begins_a_message(simulator, client) -> None:
    """One that has the part already."""
    for text in ("a", "b"):
        for number in (1, 2):
            header = bytes.fromhex(f"0500030102{number:02X}")
            message = BinaryMessage(text.encode(), sender="Friend", udh=header)
            await client.send(message, "38591000")
    assert [whole.text for whole in shown(simulator.messages)] == ["aa", "bb"]


async def test_what_was_sent_instead_is_shown(simulator, client) -> None:
    """With recipient, sender and text."""
    await client.send(TextMessage("Hello", sender="Friend"), "38591000")
    await client.send(BinaryMessage(b"\xff", sender="Friend", data_coding=4), "38592000")
    with pytest.raises(AssertionError) as caught:
        simulator.assert_sent(to="38591000", text="Welcome", sender="Shop")
    assert str(caught.value) == (
        "no message to 38591000 from Shop with the text 'Welcome' was sent; "
        "the latest that were:\n"
        "  to 38591000 from Friend: 'Hello'\n"
        "  to 38592000 from Friend: b'\\xff'"
    )


def test_nothing_was_sent_at_all() -> None:
    """This is said, too."""
    with pytest.raises(AssertionError, match="no message was sent; none was sent at all"):
        Simulator().assert_sent()


async def test_one_waits_for_a_message(simulator, client) -> None:
    """Which comes in parts, after others."""
    waiting = asyncio.create_task(simulator.wait_for(to="38591000", contains="žžž"))
    await client.send(TextMessage("Hello", sender="Friend"), "38591000")
    assert not waiting.done()
    await client.send(TextMessage(LONG, sender="Friend"), "38591000")
    assert (await waiting).text == LONG
    assert (await simulator.wait_for(text="Hello")).text == "Hello"


async def test_a_wait_ends(simulator) -> None:
    """As an assertion does."""
    with pytest.raises(AssertionError, match="no message containing 'x' was sent"):
        await simulator.wait_for(contains="x", timeout=0.01)


# --- the file of what arrived ---


async def test_requests_are_recorded(tmp_path, ask) -> None:
    """Each as a line of JSON, without the password; a file that is there is continued."""
    path = tmp_path / "arrived.jsonl"
    for text in ("one", "two"):
        async with Simulator(record=path) as simulator:
            query = f"user=user&password=password&sender=Friend&SMSText={text}&GSM=38598514674"
            await ask(simulator, "GET", f"/Addon/SMSService/SendSMS.aspx?{query}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["messages"][0]["text"] for line in lines] == ["one", "two"]
    first = lines[0]
    assert (first["operation"], first["method"], first["reply"]) == (
        "send_one",
        "GET",
        "020711151112345678",
    )
    assert "password=•••" in first["target"]
    assert first["messages"][0] == {
        "to": "38598514674",
        "from": "Friend",
        "text": "one",
        "parts": 1,
        "status": "DELIVERED",
        "message_id": None,
        "gateway_id": "020711151112345678",
    }


@needs_modes
async def test_a_record_is_its_owners_alone(tmp_path) -> None:
    """It has numbers and texts."""
    async with Simulator(record=tmp_path / "new"):
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


async def test_a_record_that_cannot_be_written(tmp_path) -> None:
    """Nothing is started."""
    with pytest.raises(OSError, match="missing"):
        await Simulator(record=tmp_path / "missing" / "file").__aenter__()
