"""Who may use the console: this machine's own pages and programs, or whoever has the token."""

import asyncio
import json
from contextlib import aclosing
from http import HTTPStatus

import httpx
import pytest

from infobip_async import TextMessage
from infobip_async.simulator import Simulator
from infobip_async.simulator.console.fields import Refusal
from infobip_async.simulator.console.guard import Guard
from infobip_async.simulator.console.server import Console

HERE = "127.0.0.1"


def refused(guard: Guard, headers: dict[str, str], peer: str = HERE, *, page: bool = False) -> bool:
    """Whether a request is refused."""
    try:
        guard.check(headers, peer, navigation=page)
    except Refusal as refusal:
        return refusal.status == HTTPStatus.FORBIDDEN
    return False


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8081", "localhost", "LOCALHOST:1", "[::1]:8081", "127.8.9.1", "sim.example.com:80"],
)
def test_known_hosts(host) -> None:
    """Of this machine, and those that were named."""
    assert not refused(Guard.of(["Sim.example.com"], None), {"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil"),
        *("user@127.0.0.1", "0.0.0.0:8081", "[::2]", "[bad", "2130706433", "127.0.0.1@evil"),
        *("127.0.0.1:8081.evil.example", "127.0.0.1/evil", "localhost:80:80", "localhost:x", ":80"),
    ],
)
def test_foreign_hosts(host) -> None:
    """A name that was pointed to this machine is a foreign one."""
    assert refused(Guard(), {"Host": host})


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("http://localhost:8081", False),
        ("http://LOCALHOST:8081", False),
        ("http://localhost:9090", True),
        ("https://localhost:8081", True),
        ("http://evil.example", True),
        ("null", True),
        ("", True),
    ],
)
def test_origins(origin, foreign) -> None:
    """Another port of this machine is another origin."""
    assert refused(Guard(), {"Host": "localhost:8081", "Origin": origin}) is foreign


@pytest.mark.parametrize(
    ("site", "page", "foreign"),
    [
        ("same-origin", False, False),
        ("none", False, False),
        ("cross-site", False, True),
        ("same-site", False, True),
        ("cross-site", True, False),
    ],
)
def test_sites(site, page, foreign) -> None:
    """A link of a foreign page may lead to the console; nothing else of it may ask."""
    headers = {"Host": "localhost", "Sec-Fetch-Site": site}
    assert refused(Guard(), headers, page=page) is foreign


def test_other_machines_need_a_token() -> None:
    """Whatever name they ask for."""
    assert refused(Guard(), {"Host": "localhost"}, "192.0.2.1")
    assert not refused(Guard.of([], "t"), {"Host": "localhost"}, "192.0.2.1")
    assert not refused(Guard(), {"Host": "localhost"}, "::1")


def test_a_token_is_made() -> None:
    """Where other names are allowed; and it is not shown."""
    assert Guard.of([], None).token is None
    made = Guard.of(["sim"], None)
    assert len(made.token) > 20
    assert made.token not in repr(made)


@pytest.mark.parametrize(
    ("base", "hosts", "url"),
    [
        ("http://127.0.0.1:80", (), "http://127.0.0.1:80/_simulator/"),
        ("http://0.0.0.0:80", (), "http://127.0.0.1:80/_simulator/"),
        ("http://[::]:80", ("sim",), "http://sim:80/_simulator/?token=a%26b"),
        ("http://127.0.0.1:80", ("sim",), "http://127.0.0.1:80/_simulator/?token=a%26b"),
    ],
)
def test_addresses(base, hosts, url) -> None:
    """One can be opened, also where the simulator listens on every address of the machine."""
    guard = Guard.of(hosts, "a&b" if hosts else None)
    assert Console(None, guard).url(base) == url


# --- over a socket ---


async def test_there_is_no_console_by_default() -> None:
    """In code one asks for it."""
    async with Simulator() as simulator, httpx.AsyncClient(verify=False, timeout=60) as http:
        assert simulator.console_url is None
        reply = await http.get(f"{simulator.base_url}/_simulator/health")
        assert reply.status_code == 404


@pytest.mark.parametrize("path", ["", "messages", "events", "style.css", "openapi.json"])
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_foreign_requests_get_403(api, path, headers) -> None:
    """For every address of the console."""
    reply = await api.get(path, headers=headers)
    assert (reply.status_code, list(reply.json())) == (403, ["error"])


async def test_two_hosts_are_none(api, simulator) -> None:
    """Which of them counts, each program decides otherwise."""
    port = int(simulator.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /_simulator/health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n")
    assert b" 40" in await reader.readline()
    writer.close()


async def test_a_token_opens_the_console() -> None:
    """In the address, in a header, or in the cookie that the page sets."""
    async with (
        Simulator(console=True, console_hosts=["sim"], console_token="let-me-in") as simulator,
        httpx.AsyncClient(
            verify=False, base_url=f"{simulator.base_url}/_simulator/", timeout=60
        ) as http,
    ):
        assert simulator.console_url.endswith("/_simulator/?token=let-me-in")
        assert (await http.get("health")).status_code == 403
        assert (await http.get("health", params={"token": "wrong"})).status_code == 403
        odd = {"Authorization": b"Bearer \xff\xfe"}
        assert (await http.get("health", headers=odd)).status_code == 403
        bearer = {"Authorization": "Bearer let-me-in"}
        assert (await http.get("health", headers=bearer)).status_code == 200
        assert (await http.get("health", headers={"Host": "sim"})).status_code == 403
        page = await http.get("", params={"token": "let-me-in"})
        assert "HttpOnly" in page.headers["Set-Cookie"]
        assert "SameSite=Strict" in page.headers["Set-Cookie"]
        assert (await http.get("health")).status_code == 200


async def test_a_body_is_limited(api) -> None:
    """It is refused, and the rest of it is not read."""
    reply = await api.post("preview", json={"text": "x" * 300_000})
    assert reply.status_code == 413


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"text=1", 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", 415),
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b"[" * 100_000, 400),
        ({"Content-Type": "application/json; charset=utf-8"}, b'{"text": "a"}', 200),
    ],
)
async def test_only_json_is_read(api, headers, body, status) -> None:
    """No form of a foreign page can be of that type."""
    assert (await api.post("preview", content=body, headers=headers)).status_code == status


async def test_the_page_may_load_its_own_files_only(api) -> None:
    """And runs no script that stands in a text."""
    page = await api.get("")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    assert "http" not in page.text.replace("<!doctype html>", "")


async def test_the_files_of_the_page_are_there(api) -> None:
    """Each with its type; nothing else of the package is."""
    for name, kind in (("style.css", "text/css"), ("main.js", "text/javascript")):
        reply = await api.get(name)
        assert (reply.status_code, reply.headers["Content-Type"].startswith(kind)) == (200, True)
    for name in ("..%2f__init__.py", "%2e%2e/guard.py", "console.py", "static/main.js"):
        assert (await api.get(name)).status_code == 404
    assert (await api.post("style.css", json={})).status_code == 405


# --- the stream, and the description ---


async def test_changes_are_told(api, client) -> None:
    """At once for who comes, and then for every change."""
    async with api.stream("GET", "events") as stream, aclosing(stream.aiter_lines()) as lines:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await anext(lines) == "data: 0"
        await client.send(TextMessage("Hello", sender="Friend"), "38598514674")
        assert [await anext(lines), await anext(lines)] == ["", "data: 1"]


async def test_an_idle_stream_says_that_it_is_there(api, monkeypatch) -> None:
    """Proxies close silent connections."""
    monkeypatch.setattr("infobip_async.simulator.console.server._ALIVE", 0.01)
    async with api.stream("GET", "events") as stream, aclosing(stream.aiter_lines()) as lines:
        assert [await anext(lines) for _ in range(3)] == ["data: 0", "", ": still here"]


async def test_the_api_is_described(api) -> None:
    """Every address with what it takes; parameters of a path are named."""
    found = (await api.get("openapi.json")).json()
    assert found["openapi"] == "3.1.0"
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    }
    wait = operations["GET /_simulator/messages"]["parameters"]
    assert {"name": "wait", "in": "query", "required": False}.items() <= wait[5].items()
    again = operations["POST /_simulator/pushes/{id}/again"]["parameters"]
    assert [(each["name"], each["in"]) for each in again] == [("id", "path")]
    body = operations["POST /_simulator/faults"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["required"] == ["fault"]
    assert len(operations) == 22
    assert json.dumps(found).count("operationId") == 21
