"""Test a service of your own: the fixtures come with the package, no account is needed."""

from infobip_async import DeliveryReport, InfobipClient, Router, TextMessage
from infobip_async.simulator import Fault, Simulator


async def notify(client: InfobipClient, number: str) -> str | None:
    """The service under test."""
    receipt = await client.send(TextMessage("Your parcel is here.", "Post"), number)
    return receipt.recipients[0].message_id


async def test_the_customer_gets_the_text(
    infobip_simulator: Simulator, infobip_client: InfobipClient
) -> None:
    await notify(infobip_client, "38598514674")
    infobip_simulator.assert_sent(to="38598514674", text="Your parcel is here.")


async def test_the_report_comes_back(
    infobip_simulator: Simulator, infobip_client: InfobipClient, infobip_router: Router
) -> None:
    reports: list[DeliveryReport] = []

    @infobip_router.on(DeliveryReport)
    async def delivered(report: DeliveryReport) -> None:
        reports.append(report)

    message_id = await notify(infobip_client, "38598514674")
    await infobip_simulator.settled()
    assert [report.message_id for report in reports] == [message_id]


async def test_a_slow_gateway_does_no_harm(
    infobip_simulator: Simulator, infobip_client: InfobipClient
) -> None:
    infobip_simulator.faults.add(Fault.SLOW, seconds=0.01)
    assert await notify(infobip_client, "38598514674")
