"""The part of the API that acts: answers of handsets, outcomes, faults, the clock, the reset."""

from http import HTTPStatus
from typing import Final

from infobip_async.simulator import policies
from infobip_async.simulator.clock import ManualClock
from infobip_async.simulator.console.fields import Field, Given, Json, Refusal, bad
from infobip_async.simulator.console.queries import decided, row_of
from infobip_async.simulator.console.routes import Desk, Routes
from infobip_async.simulator.faults import Fault
from infobip_async.simulator.records import HlrAnswer, Operation, Phone
from infobip_async.simulator.validation import is_msisdn

ROUTES: Final = Routes()

_WEEK: Final = 7 * 86400

DECISION: Final = (
    Field("status", "where messages end; without it as the simulator decides", high=100),
    Field("delay", "seconds to reports about it", "number", high=_WEEK),
    Field("absent", "whether the HLR cannot reach it", "boolean"),
    Field("network", "MCC and MNC of its network, such as 21910", high=6),
    Field("roaming", "calling code of the country where it is, such as 49", high=8),
)
"""What can be decided about a number, by the API and in files."""


@ROUTES.on(
    "POST",
    "inbound",
    Field("from", "the handset's number", required=True, high=20),
    Field("to", "the number that is texted", high=20),
    Field("text", "what is typed", high=40_000),
    Field("octets", "content in hexadecimal, in place of a text", high=1000),
)
async def inbound(desk: Desk, given: Given, _: str) -> Json:
    """Send a message from a handset, through the account's URL template."""
    if not (desk.gateway.callbacks and desk.gateway.callbacks.inbound_sms):
        about = "no URL is entered for inbound SMS: see --inbound-url, or simulator.callbacks"
        raise Refusal(HTTPStatus.CONFLICT, about)
    octets = given.text("octets")
    try:
        data = None if octets is None else bytes.fromhex(octets)
    except ValueError:
        raise bad("octets must be hexadecimal") from None
    sender, receiver = given.text("from") or "", given.text("to")
    return {"answers": list(await desk.inbound(sender, given.text("text"), data, receiver))}


@ROUTES.on(
    "POST",
    "messages/{id}/report",
    Field("status", "of the report: the document's, or any other", required=True, high=100),
    Field("delay", "seconds until it is pushed", "number", 0.0, high=_WEEK),
)
async def report(desk: Desk, given: Given, row_id: str) -> Json:
    """Decide what becomes of a message: report on it, in place of a report that still waits."""
    *_, message = row_of(desk, row_id)
    if message is None:
        raise Refusal(HTTPStatus.CONFLICT, "the gateway refused this request")
    desk.report(message, given.text("status") or "", given.number("delay"))
    return {}


@ROUTES.on("PUT", "phones/{id}", *DECISION)
async def decide(desk: Desk, given: Given, number: str) -> Json:
    """Decide what becomes of messages to a number, and what the HLR says of it."""
    desk.gateway.phones[number] = phone_of(number, given)
    desk.changed()
    return decided(desk, number)


def phone_of(number: str, given: Given) -> Phone:
    """Read what is decided about a number.

    Raises:
        Refusal: the number, the network or the calling code is none.
    """
    if not is_msisdn(number):
        raise bad("the number must have 5 to 15 digits, the first not 0")
    delay = given.number("delay") if given.has("delay") else None
    return Phone(status=given.text("status"), delay=delay, answer=_answer_of(number, given))


def _answer_of(number: str, given: Given) -> HlrAnswer | None:
    if given.flag("absent"):
        return policies.UNREACHABLE
    codes = [given.text("network"), given.text("roaming")]
    if not any(codes):
        return None
    if not all(code.isascii() and code.isdecimal() for code in codes if code):
        raise bad("network must be the digits of MCC and MNC, and roaming those of a calling code")
    return policies.in_network(number, *codes)


@ROUTES.on("DELETE", "phones/{id}")
async def leave(desk: Desk, _: Given, number: str) -> Json:
    """Leave a number to the simulator's policies again."""
    desk.gateway.phones.pop(number, None)
    desk.changed()
    return {}


@ROUTES.on("POST", "pushes/{id}/again")
async def push_again(desk: Desk, _: Given, number: str) -> Json:
    """Push the same once more, to the same address."""
    kept = {str(known): push for known, push in desk.recorder.pushes.items()}.get(number)
    if kept is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no push with this number is kept")
    return {"status": await desk.pusher.request(kept.post)}


@ROUTES.on(
    "POST",
    "faults",
    Field("fault", "its name", choices=tuple(Fault), required=True),
    Field("operation", "whose requests it strikes", choices=tuple(Operation)),
    Field("times", "how often; without it for all", "integer", low=1, high=1_000_000),
    Field("rate", "the share that it strikes", "number", 1.0, high=1),
    Field("seconds", "how long a slow reply takes", "number", 1.0, high=3600),
)
async def add_fault(desk: Desk, given: Given, _: str) -> Json:
    """Switch a fault on, for the next requests or for all."""
    desk.faults.add(
        given.text("fault") or "",
        operation=given.text("operation"),
        times=given.count("times"),
        rate=given.number("rate"),
        seconds=given.number("seconds"),
    )
    desk.changed()
    return {}


@ROUTES.on("DELETE", "faults", Field("fault", "its name; without it all", choices=tuple(Fault)))
async def clear_faults(desk: Desk, given: Given, _: str) -> Json:
    """Switch a fault off, or all of them."""
    desk.faults.clear(given.text("fault"))
    desk.changed()
    return {}


@ROUTES.on(
    "POST", "clock", Field("seconds", "how far to move on", "number", required=True, high=_WEEK)
)
async def advance(desk: Desk, given: Given, _: str) -> Json:
    """Move a manual clock on, and wait until what is due was done."""
    if not isinstance(desk.clock, ManualClock):
        raise Refusal(
            HTTPStatus.CONFLICT, "the simulator runs on the system's clock: see --manual-clock"
        )
    await desk.clock.advance(given.number("seconds"))
    desk.changed()
    return {"now": desk.clock.now()}


@ROUTES.on("POST", "reset")
async def reset(desk: Desk, _: Given, __: str) -> Json:
    """Forget what happened, and remove faults and decisions."""
    desk.reset()
    return {}
