"""The fixtures, as a user's test takes them."""

from infobip_async import DeliveryReport, DeliveryStatus, HlrReport, InboundSms, TextMessage


async def test_a_test_of_three_lines(infobip_simulator, infobip_client) -> None:
    """Send through the client, and look at what the gateway has."""
    await infobip_client.send(TextMessage("Welcome", sender="Friend"), "38598514674")
    assert infobip_simulator.messages[-1].text == "Welcome"
    assert await infobip_client.credits() == 9_999


async def test_reports_reach_the_router(infobip_simulator, infobip_client, infobip_router) -> None:
    """All three kinds of pushes arrive at the user's handlers."""
    events = []
    for kind in (DeliveryReport, HlrReport, InboundSms):
        infobip_router.on(kind)(collect(events))
    receipt = await infobip_client.send(TextMessage("Hi", sender="Friend"), "38598514674")
    await infobip_client.submit_hlr(["38598303174"])
    await infobip_simulator.inbound("38598123123", "ABC")
    await infobip_simulator.settled()
    by_kind = {type(event): event for event in events}
    assert by_kind[DeliveryReport].message_id == receipt.recipients[0].message_id
    assert by_kind[DeliveryReport].status is DeliveryStatus.DELIVERED
    assert by_kind[HlrReport].destination == "38598303174"
    assert by_kind[InboundSms].text == "ABC"


async def test_reports_wait_for_a_pull_without_a_router(infobip_client) -> None:
    """The simulator has no callbacks until something sets them."""
    await infobip_client.send(TextMessage("Hi", sender="Friend"), "38598514674")
    assert len(await infobip_client.pull_reports()) == 1


def collect(events):
    """A handler that keeps what it gets."""

    async def handler(event) -> None:
        events.append(event)

    return handler
