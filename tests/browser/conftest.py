"""A real browser on the console: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest
from playwright.async_api import Browser, Page, async_playwright

from infobip_async import Endpoints, InboundSms, InfobipClient, Router
from infobip_async.simulator import Clock, Simulator, SystemClock
from infobip_async.webhook import callback_urls, listening, webhook_app

PATIENCE = 60_000  # milliseconds
SECRET = "of-this-test"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take pictures only where one asks for them."""
    parser.addoption("--pictures", action="store_true", help="write docs/pictures anew")


@attrs.frozen
class World:
    """A simulator with a console, a service that it calls back, and its client."""

    simulator: Simulator
    client: InfobipClient
    router: Router
    heard: list[InboundSms]


@pytest.fixture
def clock() -> Clock:
    """The simulator's; a test may bring another."""
    return SystemClock()


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    """Everything that a tester has on the machine but the browser."""
    router, heard = Router(), []

    @router.on(InboundSms)
    async def hear(sms: InboundSms) -> None:
        heard.append(sms)

    async with listening(webhook_app(router, secret=SECRET)) as base:
        urls = callback_urls(base, secret=SECRET)
        async with Simulator(
            console=True, callbacks=urls, clock=clock, credits=1_000_000
        ) as simulator:
            endpoints = Endpoints.at(simulator.base_url)
            async with InfobipClient("user", "password", endpoints=endpoints) as client:
                yield World(simulator, client, router, heard)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium; a root user has no sandbox in it."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    options = [] if os.name == "nt" or os.geteuid() else ["--no-sandbox"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        await browser.close()


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def visit(browser: Browser, world: World) -> AsyncIterator[Open]:
    """Opens a view of the console; in the end the browser must have nothing to complain of."""
    complaints: list[str] = []

    async def go(view: str, *, width: int = 1280, height: int = 800, **options: object) -> Page:
        size = {"width": width, "height": height}
        context = await browser.new_context(viewport=size, locale="en-GB", **options)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{world.simulator.console_url}#{view}")
        await page.get_by_text("live", exact=True).wait_for()
        return page

    yield go
    assert complaints == []
