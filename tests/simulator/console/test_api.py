"""The API of the console: what it shows, and what it has done."""

import asyncio
import json

import attrs
import httpx
import pytest

from infobip_async import BinaryMessage, GatewayRefusedError, OutcomeUnknownError, TextMessage
from infobip_async.simulator import HlrAnswer, Phone, Simulator

HELLO = TextMessage("Hello", sender="Friend")


# --- messages ---


async def test_a_message_is_listed(client, get) -> None:
    """With what one wants to see at a glance."""
    receipt = await client.send(HELLO, "38598514674")
    listed = await get("messages")
    (row,) = listed["items"]
    assert (listed["total"], row["to"], row["from"]) == (1, "38598514674", "Friend")
    assert (row["text"], row["alphabet"], row["parts"]) == ("Hello", "GSM-7", 1)
    assert (row["outcome"], row["status"], row["doubts"]) == ("accepted", "DELIVERED", [])
    detail = await get(f"messages/{row['id']}")
    assert detail["message_id"] == receipt.recipients[0].message_id
    assert detail["request"]["target"] == "/AddOn/SMSService/XML/XMLInput.aspx"
    assert detail["request"]["reply"]["body"].startswith("<RESPONSE><status>1</status>")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"to": "38591"}, ["two"]),
        ({"from": "Shop"}, ["two"]),
        ({"contains": "ONE"}, ["one"]),
        ({"contains": "38591"}, ["two"]),
        ({"status": "DELIVERED"}, ["two", "one"]),
        ({"status": "SENT"}, []),
        ({"limit": 1}, ["two"]),
        ({"limit": 1, "offset": 1}, ["one"]),
        ({"to": "38591", "contains": "one"}, []),
        ({"to": "+38591"}, ["two"]),
        ({"to": " 38591"}, ["two"]),
    ],
)
async def test_messages_are_found(client, get, query, found) -> None:
    """By recipient, sender, status, or any text, page by page, the latest first."""
    await client.send(TextMessage("one", sender="Friend"), "38590")
    await client.send(TextMessage("two", sender="Shop"), "38591")
    assert [row["text"] for row in (await get("messages", **query))["items"]] == found


async def test_a_text_is_found_across_its_parts(client, get) -> None:
    """A word that a cut divides belongs to the whole text."""
    text = "ž" * 65 + "needle" + "ž" * 20
    await client.send(TextMessage(text, sender="Friend"), "38590123456")
    rows = (await get("messages", contains="needle"))["items"]
    assert [row["part"]["number"] for row in rows] == [2, 1]


async def test_one_waits_for_a_message(client, get) -> None:
    """The answer comes with the message."""
    waiting = asyncio.create_task(get("messages", to="38591", contains="code", wait=60))
    await client.send(TextMessage("hello", sender="Friend"), "38591")
    await client.send(TextMessage("code 17", sender="Friend"), "38591")
    assert (await waiting)["items"][0]["text"] == "code 17"


async def test_a_wait_ends_without_a_message(get) -> None:
    """With nothing."""
    assert await get("messages", wait=0.01) == {"total": 0, "items": []}


async def test_a_refused_request_is_shown(simulator, client, get) -> None:
    """Where it is asked for, with its reply."""
    simulator.gateway.not_covered = ["385"]
    with pytest.raises(GatewayRefusedError):
        await client.send_one(HELLO, "38598514674")
    assert (await get("messages"))["items"] == []
    (row,) = (await get("messages", show="refused", contains="hello"))["items"]
    assert (row["outcome"], row["to"], row["status"]) == ("refused", "38598514674", "-3")
    detail = await get(f"messages/{row['id']}")
    assert detail["request"]["method"] == "GET"
    assert "password=•••" in detail["request"]["target"]


@pytest.mark.parametrize(
    ("show", "total"), [("accepted", 3), ("refused", 2), ("all", 5), ("doubtful", 3)]
)
async def test_messages_are_counted(client, get, show, total) -> None:
    """Of each kind, as many as there are on all pages."""
    await client.send(HELLO, ["38590000001", "38590000002"])
    await client.send(TextMessage("CafÃ©", sender="Friend"), "38590000001")
    for number in ("12", "34"):
        with pytest.raises(GatewayRefusedError):
            await client.send(HELLO, number)
    found = await get("messages", show=show, limit=2)
    assert (found["total"], len(found["items"])) == (total, 2)
    last = await get("messages", show=show, offset=total - 1)
    assert (last["total"], len(last["items"])) == (total, 1)


async def test_octets_are_shown_as_such(client, get) -> None:
    """With their header apart."""
    message = BinaryMessage(
        b"BCD", sender="Friend", data_coding=4, udh=bytes.fromhex("06050400010241")
    )
    await client.send(message, "38598514674")
    (row,) = (await get("messages"))["items"]
    assert (row["kind"], row["text"], row["alphabet"]) == ("binary", None, "8-bit data")
    parameters = (await get(f"messages/{row['id']}"))["parameters"]
    assert (parameters["header"], parameters["octets"]) == ("06 05 04 00 01 02 41", "42 43 44")


async def test_a_message_is_reported_on_as_decided(simulator, client, get, post, clock) -> None:
    """In place of the report that waits for its time."""
    simulator.gateway.report_delay = 60
    receipt = await client.send(HELLO, "38598514674")
    (row,) = (await get("messages"))["items"]
    await post(f"messages/{row['id']}/report", status="NOT_DELIVERED", delay=5)
    await clock.advance(100)
    (report,) = await client.pull_reports()
    assert report.message_id == receipt.recipients[0].message_id
    assert report.raw_status == "NOT_DELIVERED"
    assert (await get("messages", status="NOT_DELIVERED"))["total"] == 1


async def test_nothing_can_report_on_a_message_without_id(simulator, client, api) -> None:
    """The refusal says why."""
    await client.send(HELLO, "38598514674", registered=False)
    found = simulator.messages[0].gateway_id
    reply = await api.post(f"messages/{found}/report", json={"status": "SENT"})
    assert reply.status_code == 400
    assert "without a message id" in reply.json()["error"]


# --- phones ---


async def test_conversations_are_listed(simulator, sink, client, get, post) -> None:
    """By number, with what was said last by either side."""
    simulator.callbacks = sink.urls
    await client.send(HELLO, ["38590000001", "38590000002"])
    answers = await post("inbound", **{"from": "38590000001", "text": "STOP"})
    assert answers == {"answers": [200]}
    assert sink.pushes[-1].target == "/in?who=38590000001&what=STOP"
    phones = (await get("phones"))["items"]
    assert {phone["number"]: (phone["text"], phone["messages"]) for phone in phones} == {
        "38590000001": ("STOP", 2),
        "38590000002": ("Hello", 1),
    }
    messages = (await get("phones/38590000001"))["messages"]
    assert [(each["direction"], each["text"]) for each in messages] == [
        ("in", "Hello"),
        ("out", "STOP"),
    ]


async def test_parts_are_joined_on_the_handset(client, get) -> None:
    """As one message, with the count of its parts."""
    text = "ž" * 100
    await client.send(TextMessage(text, sender="Friend", flash=True), "38590000001")
    (message,) = (await get("phones/38590000001"))["messages"]
    assert (message["text"], message["parts"], message["missing"]) == (text, 2, [])


async def test_octets_are_answered(simulator, sink, post, get) -> None:
    """In hexadecimal; a handset that was never written to has a conversation, too."""
    simulator.callbacks = attrs.evolve(sink.urls, inbound_sms=f"{sink.urls.inbound_sms}&b=%bin%")
    await post("inbound", **{"from": "+38590000001", "octets": "c3 0a"})
    (phone,) = (await get("phones"))["items"]
    assert (phone["number"], phone["text"], phone["messages"]) == ("38590000001", "binary", 1)
    (message,) = (await get("phones/38590000001"))["messages"]
    assert (message["octets"], message["text"]) == ("C3 0A", None)


async def test_conversations_are_found(client, get) -> None:
    """By number or by their last text."""
    await client.send(HELLO, ["38590000001", "38590000002"])
    assert [p["number"] for p in (await get("phones", contains="0002"))["items"]] == ["38590000002"]
    assert (await get("phones", contains="HELLO", limit=1))["total"] == 2


async def test_networks_are_found(get) -> None:
    """By operator, country or code."""
    found = (await get("networks", contains="swisscom"))["items"]
    assert {"code": "22801", "operator": "Swisscom", "country": "CH"} in found
    assert (await get("networks", contains="22801"))["total"] >= 1


async def test_an_answer_needs_an_address(api) -> None:
    """The refusal says how to enter one."""
    reply = await api.post("inbound", json={"from": "38590000001", "text": "Hi"})
    assert reply.status_code == 409
    assert "--inbound-url" in reply.json()["error"]


async def test_alphabet_and_parts_are_counted(post) -> None:
    """By the same rules as a send."""
    assert await post("preview", text="ab") == {
        "alphabet": "GSM-7",
        "parts": 1,
        "units": 2,
        "remaining": 158,
        "forced_by": [],
    }
    assert (await post("preview", text="Привет"))["forced_by"] == list("Привет")
    assert (await post("preview", text=""))["parts"] == 0


async def test_what_becomes_of_a_number_is_decided(simulator, client, post, get) -> None:
    """Of its messages and of its lookups, until it is left to the policies again."""
    made = await post("phones/38598514674", "PUT", status="REJECTED", network="21910", roaming="49")
    assert made["answer"]["imsi"].startswith("21910")
    assert made["answer"]["serving_msc"] == "490501"
    await client.send(HELLO, "38598514674")
    assert simulator.messages[0].status == "REJECTED"
    assert [each["number"] for each in (await get("decisions"))["items"]] == ["38598514674"]
    await post("phones/38598514674", "DELETE")
    await client.send(HELLO, "38598514674")
    assert simulator.messages[1].status == "DELIVERED"


async def test_a_delay_is_of_one_number(simulator, client, post, clock) -> None:
    """Reports on others come at their own time."""
    await post("phones/38590000001", "PUT", delay=3600)
    await client.send(HELLO, ["38590000001", "38590000002"])
    assert len(await client.pull_reports()) == 1
    await post("clock", seconds=3600)
    (late,) = await client.pull_reports()
    assert (late.done_at - late.sent_at).total_seconds() == 3600


# --- lookups, pushes, faults ---


async def test_lookups_are_listed(simulator, sink, client, get) -> None:
    """With the HLR's answer and its push; refused numbers, too."""
    simulator.callbacks = sink.urls
    simulator.phones["38598514674"] = Phone(answer=HlrAnswer(imsi="219101234567890"))
    await client.submit_hlr(["38598514674", "abc"])
    await simulator.settled()
    refused, found = (await get("lookups"))["items"]
    assert (refused["number"], refused["accepted"]) == ("abc", False)
    assert (found["accepted"], found["pushed"]) == (True, 200)
    assert found["answer"]["network"].endswith("(219 10)")
    assert (await get("lookups", contains="ab"))["total"] == 1


async def test_no_policy_is_asked_by_who_looks(clock) -> None:
    """A test's policy may count, or answer otherwise each time: what was reported is shown."""
    answers = iter(["219", "228"])
    hlr = lambda number: HlrAnswer(imsi=f"{next(answers)}01{number}"[:15])  # noqa: E731
    async with (
        Simulator(console=True, clock=clock, hlr=hlr) as simulator,
        httpx_of(simulator) as http,
    ):
        query = "user=user&pass=password&destinations=38598514674;38598514674"
        await http.get(f"{simulator.base_url}/api/hlr/query.aspx?{query}")
        for _ in range(2):
            items = (await http.get("lookups")).json()["items"]
            assert [each["answer"]["imsi"][:3] for each in items] == ["228", "219"]
        assert (await http.get("phones/38598514674")).json()["answer"] is None


async def test_a_push_is_made_again(simulator, sink, client, get, post) -> None:
    """The same octets to the same address; the secret in it is not shown."""
    simulator.callbacks = sink.urls
    await client.send(HELLO, "38598514674")
    await simulator.settled()
    (push,) = (await get("pushes"))["items"]
    assert (push["status"], push["rows"], push["kind"]) == (200, 1, "dlr")
    assert await post(f"pushes/{push['id']}/again") == {"status": 200}
    first, second = sink.pushes
    assert first.body == second.body
    row = (await get("messages"))["items"][0]
    assert (row["pushes"], row["pushed"]) == (2, 200)


async def test_a_fault_is_switched_on(client, get, post) -> None:
    """For the next request, and it shows that it struck."""
    await post("faults", fault="cut-before-reply", operation="send", times=1)
    assert [(rule["fault"], rule["left"]) for rule in (await get("faults"))["active"]] == [
        ("cut-before-reply", 1)
    ]
    with pytest.raises(OutcomeUnknownError):
        await client.send(HELLO, "38598514674")
    faults = await get("faults")
    assert faults["active"] == []
    assert {each["fault"]: each["struck"] for each in faults["known"]}["cut-before-reply"] == 1
    (row,) = (await get("messages"))["items"]
    assert (await get(f"messages/{row['id']}"))["request"]["fault"] == "cut-before-reply"


async def test_faults_are_switched_off(simulator, get, post) -> None:
    """One kind of them, or all."""
    for fault in ("hang", "500", "slow"):
        await post("faults", fault=fault)
    await post("faults", "DELETE", fault="500")
    assert [rule["fault"] for rule in (await get("faults"))["active"]] == ["hang", "slow"]
    await post("faults", "DELETE")
    assert simulator.faults.rules == ()


async def test_figures_are_counted(simulator, sink, client, get, post) -> None:
    """In all, and for spans of time."""
    simulator.callbacks = sink.urls
    await client.send(TextMessage("a" * 200, sender="Friend"), ["38590000001", "38590000002"])
    await post("clock", seconds=60)
    await client.submit_hlr(["38598514674"])
    await simulator.settled()
    figures = await get("figures")
    totals = figures["totals"]
    assert (totals["requests"], totals["messages"], totals["parts"]) == (2, 2, 4)
    assert (totals["credits"], totals["lookups"]) == (4.001, 1)
    assert (totals["pushes accepted"], totals["pushes: 200"]) == (2, 2)
    assert [span["requests"] for span in figures["series"]] == [1, 1]
    assert (figures["clock"], figures["balances"]) == ("manual", {"user": 9995.999})


async def test_a_system_clock_is_not_moved() -> None:
    """The refusal says so."""
    async with Simulator(console=True) as simulator, httpx_of(simulator) as http:
        assert (await http.post("clock", json={"seconds": 1})).status_code == 409


async def test_all_is_forgotten(simulator, client, get, post) -> None:
    """What happened, and what was decided."""
    await client.send(HELLO, "38598514674")
    await post("faults", fault="hang")
    await post("phones/38598514674", "PUT", status="SENT")
    await post("reset")
    assert (await get("messages"))["total"] == 0
    assert (await get("figures"))["totals"] == {}
    assert (simulator.messages, simulator.faults.rules, dict(simulator.phones)) == ((), (), {})
    assert simulator.counts.messages == 0
    assert await client.pull_reports() == ()


# --- the interface itself ---


@pytest.mark.parametrize(
    ("asked", "body", "status", "about"),
    [
        ("GET nowhere", None, 404, "openapi.json"),
        ("POST health", {}, 405, "GET"),
        ("GET messages?colour=red", None, 400, "colour is unknown"),
        ("GET messages?limit=0", None, 400, "limit must be a whole number from 1 to 1000"),
        ("GET messages?limit=1.5", None, 400, "limit must be"),
        ("GET messages?wait=nan", None, 400, "wait must be"),
        ("GET messages?show=some", None, 400, "show must be one of"),
        ("GET messages/1", None, 404, "no message"),
        ("POST pushes/9/again", {}, 404, "no push"),
        ("POST pushes/x/again", {}, 404, "no push"),
        (f"POST pushes/{'9' * 5000}/again", {}, 404, "no push"),
        ("POST pushes/²/again", {}, 404, "no push"),
        ("POST preview", {"text": "\ud83d"}, 400, "must be a text"),
        ("POST preview", {"text": "\x1b"}, 400, "cannot be sent"),
        ("POST inbound", {"from": "\ud83d", "text": "a"}, 400, "must be a text"),
        ("POST faults", {}, 400, "fault is missing"),
        ("POST faults", {"fault": "earthquake"}, 400, "fault must be one of"),
        ("POST faults", {"fault": "hang", "times": True}, 400, "times must be"),
        ("POST faults", [], 400, "an object"),
        ("PUT phones/012345", {}, 400, "5 to 15 digits"),
        ("PUT phones/38598514674", {"network": "x"}, 400, "digits"),
        ("PUT phones/38598514674", {"absent": "maybe"}, 400, "true or false"),
        ("POST preview", {"text": "x" * 40_001}, 400, "at most 40000"),
        ("POST preview", {"text": 5}, 400, "must be a text"),
        ("POST faults", {"fault": "hang", "times": "many"}, 400, "times must be"),
        ("POST messages/request-1/report", {"status": "SENT"}, 404, "no message"),
    ],
)
async def test_wrong_requests_are_refused(api, asked, body, status, about) -> None:
    """With a sentence that says what to change."""
    method, path = asked.split(" ")
    content = None if body is None else json.dumps(body)
    kind = {"Content-Type": "application/json"}
    reply = await api.request(method, path, content=content, headers=kind)
    assert (reply.status_code, about in reply.json()["error"]) == (status, True), reply.text


def httpx_of(simulator):
    """A client of the API of a simulator of the test's own."""
    return httpx.AsyncClient(verify=False, base_url=simulator.console_url, timeout=60)
