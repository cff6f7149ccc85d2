"""``infobip-async demo``: every method of the interface, for real, on loopback sockets."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import attrs
import click
from rich.console import Console
from rich.markup import escape

from infobip_async import (
    AuthenticationError,
    BinaryMessage,
    DeliveryReport,
    DeliveryStatus,
    Endpoints,
    HlrLookups,
    InboundSms,
    InfobipClient,
    Npi,
    OutcomeUnknownError,
    Router,
    TextMessage,
    Ton,
    WapBookmark,
    preview,
)
from infobip_async.cli.exit_codes import runs
from infobip_async.cli.receiving import receiving
from infobip_async.simulator import Fault, Simulator

_NUMBERS = ("38598514674", "41793026727", "49170111222")
_PATIENCE = 10.0
"""Seconds that anything on loopback may take."""


@attrs.define
class _Demo:
    """The gateway, the client, and what has been seen of both."""

    console: Console
    simulator: Simulator
    client: InfobipClient
    router: Router
    reports: dict[str, DeliveryReport] = attrs.field(factory=dict)
    answered: asyncio.Event = attrs.field(factory=asyncio.Event)
    faults: int = 0

    def listen(self) -> None:
        """Register the handlers, as a program of the user's would."""

        @self.router.on(DeliveryReport)
        async def delivered(report: DeliveryReport) -> None:
            self.reports[report.message_id] = report
            self.say(f"report: {report.message_id} is {report.raw_status}, {report.done_at}")

        @self.router.on(InboundSms)
        async def received(sms: InboundSms) -> None:
            self.say(f"received from {sms.sender}: {sms.text!r}")
            answer = TextMessage(f"You said: {sms.text}", sms.receiver or "Demo")
            receipt = await self.client.send(answer, sms.sender)
            self.say(f"answered, accepted {receipt.accepted}")
            self.answered.set()

    def title(self, section: str, what: str) -> None:
        """Begin a row of the interface."""
        self.console.print(f"\n[bold]§{section}[/bold]  {escape(what)}")

    def say(self, what: str) -> None:
        """Tell what was done, or what came back."""
        self.console.print(f"    {escape(what)}")

    def expect(self, what: str, *, holds: bool) -> None:
        """Tell whether something is as it should be."""
        self.faults += not holds
        mark = "[green]ok[/green]  " if holds else "[red]NOT[/red] "
        self.console.print(f"  {mark}{escape(what)}")

    async def reported(self, message_ids: Iterable[str | None]) -> bool:
        """Whether each of some messages is reported delivered, once all pushes were answered."""
        async with asyncio.timeout(_PATIENCE):
            await self.simulator.settled()
        reports = [self.reports.get(message_id or "") for message_id in message_ids]
        return all(report and report.status is DeliveryStatus.DELIVERED for report in reports)


async def _plain(demo: _Demo) -> None:
    demo.title("2/1.1", "XML POST without registered delivery, three recipients in one request")
    message = TextMessage("Hello", "Friend")
    receipt = await demo.client.send(message, _NUMBERS, registered=False)
    demo.say(f"sent {message.text!r} to {', '.join(_NUMBERS)}; {receipt.credits} credits left")
    demo.expect(f"the gateway will send {receipt.accepted}", holds=receipt.accepted == 3)  # noqa: PLR2004 - as many as there are numbers


async def _registered(demo: _Demo) -> None:
    demo.title("2/1.1, 3.1", "XML POST with registered delivery, and the reports that are pushed")
    receipt = await demo.client.send(TextMessage("Hello", "Friend"), _NUMBERS)
    ids = [recipient.message_id for recipient in receipt.recipients]
    demo.say(f"sent under the message ids {', '.join(filter(None, ids))}")
    demo.expect("each is reported delivered", holds=await demo.reported(ids))


async def _parameters(demo: _Demo) -> None:
    demo.title("2/1.2", "parameters: flash, source and destination TON and NPI, long text, UCS-2")
    message = TextMessage(
        "Hello",
        "12345",
        flash=True,
        source_addr_ton=Ton.NATIONAL,
        source_addr_npi=Npi.ISDN,
        dest_addr_ton=Ton.INTERNATIONAL,
        dest_addr_npi=Npi.ISDN,
    )
    await demo.client.send(message, _NUMBERS[0])
    got = demo.simulator.messages[-1].submission
    demo.say(f"the gateway got {got}")
    demo.expect("as it was given", holds=got.flash and got.source_addr_ton is Ton.NATIONAL)
    for text in ("All work and no play makes Jack a dull boy. " * 4, "Žuti đak pita: šta ćeš? 😀"):
        parts = preview(text)
        await demo.client.send(TextMessage(text, "Friend"), _NUMBERS[0])
        sent = demo.simulator.messages[-1]
        demo.say(f"{text!r}: {parts.alphabet}, {len(parts.parts)} part(s)")
        same = sent.text == text and sent.parts == len(parts.parts)
        demo.expect("the handset shows the same, in as many parts as previewed", holds=same)


async def _by_get(demo: _Demo) -> None:
    demo.title("2/2", "GET: a text, octets with a user data header, a bookmark")
    for message in (
        TextMessage("Hello by GET", "Friend"),
        BinaryMessage(b"BCD", "Friend", udh=bytes.fromhex("06050400010241")),
        WapBookmark("Weather", "http://www.infobip.com/wap", "Friend"),
    ):
        gateway_id = await demo.client.send_one(message, _NUMBERS[0])
        got = demo.simulator.messages[-1]
        demo.say(f"{type(message).__name__}: the gateway's id is {gateway_id}")
        demo.expect("it is what the gateway kept", holds=got.gateway_id == gateway_id)


async def _credits(demo: _Demo) -> None:
    demo.title("2/2.1", "CREDITS")
    balance = await demo.client.credits()
    demo.expect(f"{balance} credits are left", holds=balance == demo.simulator.credits)


async def _pull(demo: _Demo) -> None:
    demo.title("3.2", "delivery reports pulled, by an account without a URL for pushes")
    urls, demo.simulator.callbacks = demo.simulator.callbacks, None
    receipt = await demo.client.send(TextMessage("Hello", "Friend"), _NUMBERS)
    ids = {recipient.message_id for recipient in receipt.recipients}
    await demo.simulator.settled()
    pulled = await demo.client.pull_reports()
    demo.say(", ".join(f"{report.message_id} is {report.raw_status}" for report in pulled))
    demo.expect("all three are there", holds={one.message_id for one in pulled} == ids)
    again = await demo.client.pull_reports()
    demo.expect("nothing is left to pull", holds=again == ())
    demo.simulator.callbacks = urls


async def _lookups(demo: _Demo) -> None:
    demo.title("4, 5", "1,000 HLR lookups, a bad number among them, and the reports pushed")
    numbers = [f"385985{number:05}" for number in range(999)] + ["sdfsd"]
    outcomes: Counter[str] = Counter()
    async with HlrLookups(demo.client, demo.router) as lookups:
        async for result in lookups.stream(numbers, timeout=_PATIENCE):
            outcomes[result.outcome.value] += 1
        demo.say(f"{dict(outcomes)}")
        one = await lookups.lookup(_NUMBERS[0], timeout=_PATIENCE)
    demo.say(f"one by one: {one.report}")
    demo.expect("999 reports and one refusal", holds=outcomes == {"reported": 999, "refused": 1})


async def _inbound(demo: _Demo) -> None:
    demo.title("6", "an inbound SMS, and an automatic answer")
    before = len(demo.simulator.messages)
    await demo.simulator.inbound("38598123123", "ABC", receiver="41793026700")
    async with asyncio.timeout(_PATIENCE):
        await demo.answered.wait()
    answers = demo.simulator.messages[before:]
    right = [(one.msisdn, one.text) for one in answers] == [("38598123123", "You said: ABC")]
    demo.expect("the answer is on its way", holds=right)


async def _refused(demo: _Demo) -> None:
    demo.title("2/1.3", "a wrong password")
    endpoints = Endpoints.at(demo.simulator.base_url)
    async with InfobipClient("user", "wrong", endpoints=endpoints) as stranger:
        try:
            await stranger.send(TextMessage("Hello", "Friend"), _NUMBERS[0])
        except AuthenticationError as error:
            demo.say(f"{type(error).__name__}: {error}")
            demo.expect("refused, by its own error", holds=error.code == -1)
        else:
            demo.expect("refused", holds=False)


async def _unknown(demo: _Demo) -> None:
    demo.title("2/1, 3.1", "the connection breaks before the reply: the outcome is unknown")
    demo.simulator.faults.add(Fault.CUT_BEFORE_REPLY, operation="send")
    before = len(demo.simulator.messages)
    try:
        await demo.client.send(TextMessage("Once only", "Friend"), _NUMBERS[0])
    except OutcomeUnknownError as error:
        demo.say(f"{type(error).__name__}: {error}")
        demo.say(f"its message id is {', '.join(error.message_ids)}")
        known = await demo.reported(error.message_ids)
        demo.expect("the delivery report settles it: it was sent", holds=known)
    else:
        demo.expect("an unknown outcome", holds=False)
    copies = len(demo.simulator.messages) - before
    demo.expect(f"the gateway has {copies} copy", holds=copies == 1)


_STEPS: tuple[Callable[[_Demo], Awaitable[None]], ...] = (
    *(_plain, _registered, _parameters, _by_get, _credits, _pull),
    *(_lookups, _inbound, _refused, _unknown),
)


@click.command("demo")
@runs
async def command() -> None:
    """Try the whole interface against the simulator, on this machine, and show what happens.

    No account is needed. It ends with exit code 1 if anything is not as it should be.
    """
    console = Console(highlight=False, soft_wrap=True)
    router = Router()
    async with (
        receiving(router, ("127.0.0.1", 0)) as urls,
        Simulator(username="user", password="password", callbacks=urls) as simulator,  # noqa: S106 - of an account that lives as long as this
        InfobipClient("user", "password", endpoints=Endpoints.at(simulator.base_url)) as client,
    ):
        console.print(f"The simulated gateway is at {simulator.base_url}.")
        demo = _Demo(console, simulator, client, router)
        demo.listen()
        for step in _STEPS:
            await step(demo)
            await simulator.settled()
    console.print(f"\n{'All as it should be.' if not demo.faults else 'Something is wrong.'}")
    if demo.faults:
        sys.exit(1)
