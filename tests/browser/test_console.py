"""The page in a real browser: a tester looks, answers, and has things go wrong."""

import json
import time
from importlib.resources import files

import pytest
from playwright.async_api import Page, expect

from infobip_async import CallbackUrls, OutcomeUnknownError, Router, TextMessage
from infobip_async.simulator import ManualClock
from infobip_async.webhook import listening, webhook_app

VIEWS = ("phones", "messages", "lookups", "faults", "figures")
HELLO = TextMessage("Your code is 482 913.", sender="Dentist")
NASTY = "<script>window.hit=1</script> &amp; <b>שלום</b> 👩‍🚒 \x07\u202eend"
TRIES = 5
"""A busy machine may spoil a measurement. One that is fast enough shows that the code is."""


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=60_000)


# --- look and answer ---


async def test_a_tester_sees_a_message_and_answers(world, visit) -> None:
    """The answer reaches the handler of the service, and the page shows that it did."""
    page = await visit("phones")
    await expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
    await world.client.send(HELLO, "38598514674")
    log = page.get_by_role("log")
    await expect(log.get_by_text("Your code is 482 913.")).to_be_visible()
    box = page.get_by_role("textbox", name="Answer as")
    await box.fill("Thanks 🙂")
    await expect(page.get_by_text("UCS-2 because of 🙂 · 1 part")).to_be_visible()
    await box.press("Enter")
    await expect(log.get_by_text("✓ 200")).to_be_visible()
    await page.get_by_role("button", name="STOP").click()
    await expect(log.get_by_text("STOP")).to_be_visible()
    assert [(sms.sender, sms.text) for sms in world.heard] == [
        ("38598514674", "Thanks 🙂"),
        ("38598514674", "STOP"),
    ]


async def test_a_message_is_shown_within_a_second(world, visit) -> None:
    """From the reply to the client until it can be read on the page."""
    page = await visit("messages")
    seconds = []
    for number in range(TRIES):
        await world.client.send(TextMessage(f"message {number}", sender="Friend"), "38598514674")
        replied = time.monotonic()
        await page.get_by_text(f"message {number}", exact=True).wait_for()
        seconds.append(time.monotonic() - replied)
        if seconds[-1] < 1:
            break
    assert min(seconds) < 1, seconds


async def test_a_fault_is_set_on_the_page(world, visit) -> None:
    """The client raises, and the page counts."""
    page = await visit("faults")
    await page.get_by_role("button", name="cut-before-reply: next").click()
    await expect(page.get_by_text("the next 1", exact=True)).to_be_visible()
    with pytest.raises(OutcomeUnknownError):
        await world.client.send(HELLO, "38598514674")
    await expect(page.get_by_text("struck 1")).to_be_visible()
    assert world.simulator.faults.rules == ()


@pytest.mark.parametrize("clock", [ManualClock()])
async def test_time_is_moved_on_the_page(world, visit) -> None:
    """A report that nobody accepted is repeated, minutes and hours later (§3.1)."""
    world.simulator.callbacks = CallbackUrls("http://127.0.0.1:9/dlr", "", "")
    await world.client.send(HELLO, "38598514674")
    await world.simulator.settled()
    page = await visit("faults")
    await page.get_by_role("button", name="an hour later").click()
    await expect(page.get_by_text("Tue, 14 Nov 2023 23:13:20 GMT")).to_be_visible()
    assert len(world.simulator.pushes) == 3


async def test_an_outcome_is_set_on_the_page(world, visit) -> None:
    """A report is pushed, and pushed again."""
    await world.client.send(HELLO, "38598514674")
    await world.simulator.settled()
    page = await visit("messages")
    await page.get_by_role("link", name="38598514674").click()
    await page.get_by_label("Status").fill("REJECTED")
    await page.get_by_role("button", name="Report").click()
    pushes = page.locator("details.push")
    await expect(pushes).to_have_count(2)
    await pushes.last.locator("summary").click()
    await expect(pushes.last.get_by_text("REJECTED")).to_be_visible()
    await pushes.last.get_by_role("button", name="Push again").click()
    await expect(pushes).to_have_count(3)


async def test_a_number_is_decided_on_the_page(world, visit) -> None:
    """Its network, and where its messages end."""
    page = await visit("lookups")
    await page.get_by_label("Number", exact=True).fill("38598514674")
    await page.get_by_label("Network").fill("21910")
    await page.get_by_label("Messages end as").fill("NOT_DELIVERED")
    await page.get_by_role("button", name="Decide").click()
    await expect(page.get_by_text("NOT_DELIVERED, ")).to_be_visible()
    await world.client.submit_hlr(["38598514674"])
    await expect(page.get_by_role("cell", name="(219 10)")).to_be_visible()
    assert world.simulator.phones["38598514674"].status == "NOT_DELIVERED"


async def test_what_is_doubtful_is_named(world, visit) -> None:
    """With the section of the document, also where the gateway takes the request."""
    await world.client.send(TextMessage("CafÃ©", sender="Friend"), "38598514674")
    page = await visit("messages")
    await page.get_by_role("link", name="38598514674").click()
    await expect(
        page.get_by_text("looks like UTF-8 that was read in another charset")
    ).to_be_visible()
    await expect(page.get_by_text("<password>•••</password>")).to_be_visible()


# --- what is shown is what was sent ---


async def test_nothing_that_was_sent_is_markup(world, visit) -> None:
    """Tags, entities, right-to-left text, emoji and control characters are shown as such."""
    await world.client.send_one(TextMessage(NASTY, sender="<b>&\u202e"), "38598514674")
    page = await visit("messages")
    for view in (
        "messages",
        "phones/38598514674",
        f"messages/{world.simulator.messages[0].gateway_id}",
    ):
        await page.evaluate("view => { location.hash = view; }", view)
        shown = page.locator(
            "main bdi", has_text="<script>window.hit=1</script> &amp; <b>שלום</b> 👩‍🚒"
        )
        await expect(shown.first).to_contain_text("U+0007U+202Eend")
    await expect(page.locator("main").get_by_text("<b>&U+202E").first).to_be_visible()
    assert await page.evaluate("window.hit") is None


# --- how it is used ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(world, visit, scheme) -> None:
    """In every view, in either scheme, with and without content."""
    page = await visit("phones", color_scheme=scheme, bypass_csp=True)
    await page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else None
    assert await _serious(page, rules) == []
    await _fill(world)
    message = f"messages/{world.simulator.messages[0].gateway_id}"
    for view in (*VIEWS, "phones/38598514674", message):
        await page.evaluate("view => { location.hash = view; }", view)
        await page.wait_for_timeout(500)
        assert await _serious(page, rules) == [], view


async def _fill(world) -> None:
    await world.client.send(HELLO, ["38598514674", "41793026727"])
    await world.client.send(TextMessage("Fire!", sender="Alarm", flash=True), "38598514674")
    await world.client.submit_hlr(["38598514674", "abc"])
    await world.simulator.inbound("38598514674", "STOP")
    world.simulator.faults.add("slow", times=3)
    await world.simulator.settled()


async def _serious(page: Page, rules: object = None) -> list[str]:
    found = await page.evaluate("rules => axe.run(rules ?? {})", rules)
    return [
        f"{each['id']}: {[node['html'] for node in each['nodes'][:3]]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


async def test_it_fits_a_telephone(world, visit) -> None:
    """No view is wider than the screen."""
    await _fill(world)
    page = await visit("phones", width=390, height=844)
    for view in (
        *VIEWS,
        "phones/38598514674",
        f"messages/{world.simulator.messages[0].gateway_id}",
    ):
        await page.evaluate("view => { location.hash = view; }", view)
        await page.wait_for_timeout(400)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


async def test_it_is_used_by_keyboard(world, visit) -> None:
    """From the head of the page to a message, and back."""
    await _fill(world)
    page = await visit("phones")
    await page.get_by_role("link", name="Messages").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("cell", name="Fire!").wait_for()
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.closest('tbody') !== null"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("region", name="Message", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Close the message").press("Enter")
    await expect(page.get_by_role("region", name="Message", exact=True)).to_be_hidden()


# --- much ---


async def test_ten_thousand_messages_stay_usable(world, visit, browser) -> None:
    """One scrolls and searches without a task of what the browser calls long: 50 ms.

    It is the processor's time that the page's thread takes, in the browser's own trace: others
    that work on the same machine do not count.
    """
    await _send_ten_thousand(world)
    page = await visit("messages")
    await expect(page.get_by_text("10,000 messages")).to_be_visible()
    measured = []
    for _ in range(TRIES):
        await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
        await _scroll_and_search(page)
        measured.append(_longest_task(json.loads(await browser.stop_tracing())["traceEvents"]))
        if measured[-1] < 50:
            break
    assert min(measured) < 50, measured


def _longest_task(events: list[dict]) -> float:
    """Milliseconds of the processor that the longest task of a page's main thread took."""
    names = [event for event in events if event["name"] == "thread_name"]
    pages = {(e["pid"], e["tid"]) for e in names if e["args"]["name"] == "CrRendererMain"}
    tasks = [
        event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask")
        and (event["pid"], event["tid"]) in pages
        and "tdur" in event  # one that the end of the trace cut off has none
    ]
    assert len(tasks) > 10
    return max(tasks)


async def _send_ten_thousand(world) -> None:
    for start in range(0, 10_000, 1_000):
        numbers = [str(385_980_000_000 + number) for number in range(start, start + 1_000)]
        await world.client.send(TextMessage(f"batch {start}", sender="Friend"), numbers)


async def _scroll_and_search(page: Page) -> None:
    scroller = page.get_by_role("region", name="Messages")
    for top in (3_000, 100_000, 250_000, 399_000):
        await scroller.evaluate("(element, top) => { element.scrollTop = top; }", top)
        await page.locator(f"tr[aria-rowindex='{top // 40 + 5}'] a").wait_for()
    search = page.get_by_role("searchbox", name="Search messages")
    await search.fill("385980004321")
    await page.get_by_text("1 message", exact=True).wait_for()
    await search.fill("")
    await page.get_by_text("10,000 messages").wait_for()


@pytest.mark.parametrize("view", ["messages", "phones"])
async def test_an_open_console_does_not_slow_sends(world, visit, view) -> None:
    """By more than a tenth of the processor's time that a send takes, with 10,000 behind.

    That is what an idle machine shows, and what is tried for; a busy one is given more.
    """
    await _send_ten_thousand(world)
    page = await visit(view)
    console = page.url
    with_page, without = [], []
    for _ in range(TRIES):
        await page.goto("about:blank")
        without.append(await _cpu_of_sends(world))
        await page.goto(console)
        await page.get_by_text("live", exact=True).wait_for()
        with_page.append(await _cpu_of_sends(world))
        if (ratio := min(with_page) / min(without)) <= 1.1:
            break
    print(f"a send with an open console: {ratio:.3f} of one without")  # noqa: T201 - the figure that is wanted
    assert ratio <= 1.5, (with_page, without)


async def _cpu_of_sends(world) -> float:
    """Of so many that the page looks anew several times meanwhile."""
    began = time.process_time()
    for _ in range(300):
        await world.client.send(HELLO, "38598514674")
    return time.process_time() - began


# --- who may not use it ---


async def test_a_foreign_page_neither_reads_nor_writes(world, visit, browser) -> None:
    """It is another origin, although on the same machine."""
    await world.client.send(HELLO, "38598514674")
    async with listening(webhook_app(Router(), secret=None)) as foreign:
        page = await (await browser.new_context()).new_page()
        await page.goto(foreign)
        console = world.simulator.console_url
        read = "fetch(url + 'messages').then(() => 'read', () => 'refused')"
        write = "fetch(url + 'reset', {method: 'POST', mode: 'no-cors', body: '{}'})"
        write += ".catch(() => null)"
        assert await page.evaluate(f"url => {read}", console) == "refused"
        await page.evaluate(f"url => {write}", console)
        await page.context.close()
    assert len(world.simulator.messages) == 1
