"""The part of the API that looks: messages, conversations, lookups, pushes, faults, figures."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from itertools import islice
from typing import Final, TypeVar

import attrs

from infobip_async.numbering.tables import bundled_tables
from infobip_async.simulator.clock import ManualClock
from infobip_async.simulator.console import request_warnings, views
from infobip_async.simulator.console.fields import Field, Given, Json, Refusal
from infobip_async.simulator.console.recorder import Recorder, Row
from infobip_async.simulator.console.routes import Desk, Routes
from infobip_async.simulator.faults import REPLY_FAULTS, Fault
from infobip_async.simulator.handset import shown
from infobip_async.simulator.records import UDHI, Phone, SentMessage
from infobip_async.text.segments import preview as preview_of

T = TypeVar("T")
_StatusOf = Callable[[SentMessage], str]

ROUTES: Final = Routes()

_AT_ONCE: Final = 20  # requests that are read before others may work

_CONTAINS: Final = Field("contains", "a text inside of it, in any case of letters")
_PAGE: Final = (
    Field("offset", "how many of the first to skip", "integer", 0, high=1_000_000),
    Field("limit", "the most to give", "integer", 100, low=1, high=1000),
)


def _page(
    found: Iterable[T], total: int, given: Given, view: Callable[[T], Json]
) -> dict[str, Json]:
    """The part that was asked for, and how many were found."""
    offset = given.count("offset") or 0
    items = islice(found, offset, offset + (given.count("limit") or 0))
    return {"total": total, "items": [view(each) for each in items]}


# --- messages -----------------------------------------------------------------------------------


@attrs.frozen
class _Filter:
    """Which rows of the table of messages are wanted."""

    to: str | None
    sender: str | None
    status: str | None
    contains: str
    show: str | None

    @classmethod
    def of(cls, given: Given) -> "_Filter":
        to, sender, status = map(given.text, ("to", "from", "status"))
        to = to and to.strip().removeprefix("+")  # a + in a query is a blank
        return cls(
            to, sender, status, (given.text("contains") or "").casefold(), given.text("show")
        )

    def count(self, recorder: Recorder) -> int | None:
        """How many rows are wanted; None where each must be looked at."""
        if self.show == "doubtful" or any((self.to, self.sender, self.status, self.contains)):
            return None
        messages = 0 if self.show == "refused" else recorder.messages
        return messages + (0 if self.show == "accepted" else recorder.refused)

    def rows(self, recorder: Recorder) -> Iterator[Row]:
        whole = _whole_texts(recorder) if self.contains else {}
        for row in recorder.rows():
            _, arrival, message = row
            if self._shows(message) and self._fits(row, whole, recorder.status_of):
                if self.show == "doubtful" and not request_warnings.of_request(arrival):
                    continue
                yield row

    def _shows(self, message: SentMessage | None) -> bool:
        return self.show in ({"refused"} if message is None else {"accepted"}) | {"all", "doubtful"}

    def _fits(self, row: Row, whole: dict[str, str], status_of: _StatusOf) -> bool:
        _, arrival, message = row
        if message is None:
            to, sender, status, text = None, None, None, views.refused_text(arrival)
        else:
            to, sender, status = message.msisdn, message.submission.sender, status_of(message)
            text = whole.get(message.gateway_id) or message.text or ""
        if any(
            want not in {None, has}
            for want, has in ((self.to, to), (self.sender, sender), (self.status, status))
        ):
            return False
        ids = f"{to} {sender} {message and message.message_id} {views.id_of(row)}"
        return not self.contains or self.contains in f"{ids} {text}".casefold()


def _whole_texts(recorder: Recorder) -> dict[str, str]:
    """The joined texts of messages in parts, by the gateway's id of each part."""
    rows = (message for _, _, message in recorder.rows())
    parts = [message for message in rows if message and message.submission.esm_class & UDHI]
    whole = shown(reversed(parts))
    return {part.gateway_id: each.text or "" for each in whole for part in each.parts}


@ROUTES.on(
    "GET",
    "messages",
    Field("to", "the recipient"),
    Field("from", "the sender"),
    Field("status", "the status that it ends with"),
    _CONTAINS,
    Field("show", "which", default="accepted", choices=("accepted", "refused", "doubtful", "all")),
    Field("wait", "seconds to wait for the first", "number", 0.0, high=60),
    *_PAGE,
)
async def messages(desk: Desk, given: Given, _: str) -> Json:
    """Give messages, the latest first, or wait for the first that is as described."""
    wanted, recorder = _Filter.of(given), desk.recorder
    if wanted.show == "doubtful":
        await _read_all(recorder)

    def found() -> tuple[int, Iterable[Row]] | None:
        total = wanted.count(recorder)
        rows = wanted.rows(recorder) if total is not None else list(wanted.rows(recorder))
        total = len(rows) if isinstance(rows, list) else total
        return (total, rows) if total else None

    total, rows = await desk.bell.until(found, given.number("wait")) or (0, ())
    return _page(rows, total, given, lambda row: views.row(row, recorder))


async def _read_all(recorder: Recorder) -> None:
    """Look for doubts about every request, and let others work meanwhile."""
    for place, (_, arrival) in enumerate(list(recorder.arrivals)):
        request_warnings.of_request(arrival)
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)


def row_of(desk: Desk, row_id: str) -> Row:
    """Find a row by its id.

    Raises:
        Refusal: none is kept.
    """
    found = (row for row in desk.recorder.rows() if views.id_of(row) == row_id)
    if (row := next(found, None)) is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no message with this id is kept")
    return row


@ROUTES.on("GET", "messages/{id}")
async def message(desk: Desk, _: Given, row_id: str) -> Json:
    """Give a message, its request, its pushes, and what is doubtful about it."""
    return views.message(row_of(desk, row_id), desk.recorder, desk.gateway.message_price)


# --- phones and lookups -------------------------------------------------------------------------


@ROUTES.on("GET", "phones", _CONTAINS, *_PAGE)
async def phones(desk: Desk, given: Given, _: str) -> Json:
    """Give the conversations by number, the one with the latest message first."""
    contains = (given.text("contains") or "").casefold()
    found = views.phones(desk.recorder)
    if contains:
        found = [phone for phone in found if contains in phone.words().casefold()]
    return _page(found, len(found), given, views.PhoneLine.view)


@ROUTES.on("GET", "phones/{id}", Field("limit", "of the latest", "integer", 200, low=1, high=1000))
async def phone(desk: Desk, given: Given, number: str) -> Json:
    """Give the conversation of a number, as its handset shows it, and what was decided."""
    limit = given.count("limit") or 0
    return decided(desk, number) | views.conversation(number, desk.recorder, limit)


def decided(desk: Desk, number: str) -> dict[str, Json]:
    """What was decided about a number."""
    return views.phone(number, desk.gateway.phones.get(number, Phone()))


@ROUTES.on("GET", "decisions", *_PAGE)
async def decisions(desk: Desk, given: Given, _: str) -> Json:
    """Give the numbers about which something was decided."""
    numbers = desk.gateway.phones
    return _page(numbers, len(numbers), given, lambda number: decided(desk, number))


@ROUTES.on("GET", "lookups", _CONTAINS, *_PAGE)
async def lookups(desk: Desk, given: Given, _: str) -> Json:
    """Give the numbers that were looked up, the latest first, with the HLR's answers."""
    wanted, recorder = given.text("contains") or "", desk.recorder
    found = [each for each in recorder.lookups() if wanted in each[0].msisdn]
    return _page(found, len(found), given, lambda each: views.lookup(*each, recorder))


@ROUTES.on("GET", "networks", _CONTAINS, *_PAGE)
async def networks(_: Desk, given: Given, __: str) -> Json:
    """Give the mobile networks that are known, with MCC and MNC."""
    tables, wanted = bundled_tables(), (given.text("contains") or "").casefold()
    named = (
        {"code": code, "operator": each.operator, "country": tables.countries.get(each.mcc, "")}
        for code, each in tables.networks.items()
    )
    found = [each for each in named if wanted in " ".join(each.values()).casefold()]
    return _page(found, len(found), given, lambda network: network)


@ROUTES.on("POST", "preview", Field("text", "what is typed", required=True, high=40_000))
async def preview(_: Desk, given: Given, __: str) -> Json:
    """Count the alphabet and the parts of a text."""
    text = given.text("text")
    seen = preview_of(text) if text else None
    offenders = seen.offenders if seen else ()
    return {
        "alphabet": seen.alphabet.value if seen else "GSM-7",
        "parts": len(seen.parts) if seen else 0,
        "units": seen.units if seen else 0,
        "remaining": seen.remaining if seen else 160,
        "forced_by": list(dict.fromkeys(each.character for each in offenders))[:10],
    }


# --- pushes, faults, figures --------------------------------------------------------------------


@ROUTES.on("GET", "pushes", *_PAGE)
async def pushes(desk: Desk, given: Given, _: str) -> Json:
    """Give the attempts to push, the latest first."""
    kept = list(reversed(desk.recorder.pushes.items()))
    return _page(kept, len(kept), given, lambda each: views.push(*each))


@ROUTES.on("GET", "faults")
async def faults(desk: Desk, _: Given, __: str) -> Json:
    """Give every fault with what it does, and which are switched on."""
    known = [
        {
            "fault": fault.value,
            "about": fault.description,
            "strikes": "requests" if fault in REPLY_FAULTS else "reports",
            "struck": len(desk.faults.struck(fault)),
        }
        for fault in Fault
    ]
    return {"known": known, "active": [attrs.asdict(rule) for rule in desk.faults.rules]}


@ROUTES.on("GET", "figures")
async def figures(desk: Desk, _: Given, __: str) -> Json:
    """Give requests, messages, parts, credits and pushes, in all and over time."""
    callbacks = desk.gateway.callbacks
    accounts = desk.gateway.accounts.values()
    return views.figures(desk.recorder) | {
        "now": desk.clock.now(),
        "clock": "manual" if isinstance(desk.clock, ManualClock) else "system",
        "balances": {account.username: float(account.credits) for account in accounts},
        "inbound": bool(callbacks and callbacks.inbound_sms),
    }


@ROUTES.on("GET", "health")
async def health(desk: Desk, _: Given, __: str) -> Json:
    """Say that the simulator is there."""
    return {"status": "ok", "revision": desk.recorder.revision}
