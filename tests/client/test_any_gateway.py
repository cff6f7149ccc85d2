"""Gateways that do anything by chance: no reply answers another request than its own."""

import asyncio
import gzip
import random
import re
from collections import Counter
from urllib.parse import unquote_plus

import pytest

from infobip_async import Endpoints, OutcomeUnknownError, TextMessage
from tests.client.conftest import chunked, http

ROUNDS = 300


def body(accepted: int) -> bytes:
    """The body of a reply to a send."""
    return b"<RESPONSE><status>%d</status></RESPONSE>" % accepted


FORMS = (
    http,
    chunked,
    lambda octets: http(octets).replace(b"\r\n", b"\n"),
    lambda octets: http(octets, version="1.0").replace(
        b"\r\n", b"\r\nConnection: keep-alive\r\n", 1
    ),
    lambda octets: http(gzip.compress(octets), "Content-Encoding: gzip"),
    lambda octets: 3 * b"HTTP/1.1 103 Early Hints\r\n\r\n" + http(octets),
    lambda octets: chunked(octets)[:-2] + b"A-Trailer: 1\r\n\r\n",
)


class Chance:
    """Answers each send with the number of its recipients, or as it should not.

    Whatever it says goes out at once: octets that come when the next request is on its way cannot
    be told from an answer to that.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.received: Counter[str] = Counter()
        self.answered = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                assert length is not None
                request = unquote_plus((await reader.readexactly(int(length[1]))).decode())
                self.received.update(re.findall(r"message-\d+", request))
                octets, goes_on = self.answer(request.count("<gsm"))
                writer.write(octets)
                if not goes_on:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    def answer(self, accepted: int) -> tuple[bytes, bool]:
        """The octets of an answer, and whether the connection goes on."""
        answer = self.random.choice(FORMS)(body(accepted))
        another = self.random.choice(FORMS)(body(self.random.randrange(1, 9)))
        junk = self.random.choice((b"", b"\r\n", b"\n", b"x", b"HTTP/1.1 ", bytes(5)))
        if self.random.random() < 0.7:
            self.answered += 1
            return answer + self.random.choice((another, junk)), True
        if self.random.random() < 0.5:
            return answer[: self.random.randrange(len(answer))], False
        none = self.random.choice((
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            http(b"no", status="500 Oops"),
            http(b"", "Location: /", status="302 Found"),
        ))  # fmt: skip
        return none + another, True


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "by proxy"])
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.proof) for n in range(2, 12))]
)
async def test_no_reply_answers_another_request(connect, seed, proxied) -> None:
    """Each send goes out once, and has its own answer, or none where the gateway gave it none."""
    gateway = Chance(seed)
    outcomes: Counter[str] = Counter()
    async with await asyncio.start_server(gateway.connected, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        elsewhere = {"endpoints": Endpoints.at("http://gateway.example"), "allow_insecure": True}
        client = connect(
            **({"proxy": url} | elsewhere if proxied else {"endpoints": Endpoints.at(url)})
        )

        async def send(numbers: range) -> None:
            for number in numbers:
                count = gateway.random.randrange(10, 40)
                recipients = [str(385911000000 + one) for one in range(count)]
                try:
                    receipt = await client.send(
                        TextMessage(f"message-{number}", "Friend"), recipients
                    )
                except OutcomeUnknownError:
                    outcomes["unknown"] += 1
                else:
                    outcomes["own" if receipt.accepted == count else "another's"] += 1

        await asyncio.gather(*(send(range(first, ROUNDS, 3)) for first in range(3)))
        await client.aclose()
    assert outcomes == {"own": gateway.answered, "unknown": ROUNDS - gateway.answered}
    assert set(gateway.received.values()) == {1}
    assert len(gateway.received) == ROUNDS
