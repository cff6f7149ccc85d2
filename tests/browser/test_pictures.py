"""The pictures of the documentation: ``nox -s console -- --pictures``."""

from pathlib import Path

import httpx
import pytest

from infobip_async import BinaryMessage, TextMessage, WapBookmark
from infobip_async.simulator import Phone

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
OLD_CLIENT = (
    "XML=<SMS><authentification><username>user</username><password>password</password>"
    "</authentification><message><sender>Shop</sender><text>Your order is at the cafÃ©.</text>"
    "</message><recipients><gsm>+38598514674</gsm><gsm>41793026727</gsm>"
    "<gsm>41793026727</gsm></recipients></SMS>"
)


@pytest.fixture
async def busy(world):
    """A gateway that a few services have used."""
    send, simulator = world.client.send, world.simulator
    await send(
        TextMessage("Your code is 482 913. It is valid for ten minutes.", "Bank"), "38598514674"
    )
    await send(TextMessage("Server room: 41 °C", "Alarm", flash=True), "41793026727")
    await send(
        BinaryMessage(b"BCD", "Friend", data_coding=4, udh=bytes.fromhex("06050400010241")),
        "491701112223",
    )
    await send(WapBookmark("Our autumn menu", "www.example.com/menu", "Kitchen"), "41793026727")
    await send(
        TextMessage("Ваш заказ № 17 готов. Ждём вас до 18:00, Ilica 12! 🎉", "Shop"),
        "447700900123",
    )
    numbers = ["38591777666", "38598514674"]
    await send(
        TextMessage("Dentist: see you tomorrow at nine. Reply STOP to end.", "385911234567"),
        numbers,
    )
    await simulator.inbound("38598514674", "Can we make it ten? 🙏", receiver="385911234567")
    await send(TextMessage("Ten it is. Have a good day!", "385911234567"), "38598514674")
    await world.client.submit_hlr(["38598514674", "41793026727", "abc", "491701112223"])
    async with httpx.AsyncClient(timeout=60) as http:
        url = f"{simulator.base_url}/AddOn/SMSService/XML/XMLInput.aspx"
        await http.post(url, content=OLD_CLIENT.encode())
    simulator.faults.add("cut-before-reply", times=3, operation="send")
    simulator.phones["38591777666"] = Phone(status="NOT_DELIVERED", delay=5)
    await simulator.settled()
    return world


@pytest.fixture(autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--pictures"):
        pytest.skip("pictures are drawn with --pictures")
    PICTURES.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("name", "view", "options"),
    [
        ("phones", "phones/38598514674", {}),
        ("messages", "messages", {}),
        ("lookups", "lookups", {}),
        ("faults", "faults", {"color_scheme": "dark"}),
        ("telephone", "phones/38598514674", {"width": 390, "color_scheme": "dark"}),
    ],
)
async def test_draw(busy, visit, name, view, options) -> None:
    """One view."""
    page = await visit(view, height=720, **options)
    if name == "messages":
        await page.locator("tbody").get_by_role("link", name="41793026727").first.click()
        await page.get_by_text("41793026727 stands 2 times").wait_for()
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(500)
    await page.screenshot(path=PICTURES / f"{name}.png")
