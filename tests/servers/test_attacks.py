"""Pushes of the gateway's, while somebody does a receiver harm."""

import statistics
import sys
import time
from pathlib import Path

import pytest

from children import start_child

pytestmark = pytest.mark.proof(long=True)

SECRET = "MARKED-secret.of_the-webhook"
REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'
PUSH = (
    f"POST /infobip/{SECRET}/dlr HTTP/1.1\r\nHost: x\r\nContent-Length: {len(REPORT)}\r\n\r\n"
).encode() + REPORT
PUSHES = 200


def percentile_of(server) -> float:
    """Seconds that pushes over new connections take, at the 99th percentile; all are answered."""
    took = []
    for _ in range(PUSHES):
        begun = time.perf_counter()
        assert server.send(PUSH, closing=False).status == 200
        took.append(time.perf_counter() - begun)
        time.sleep(0.005)
    return statistics.quantiles(took, n=100)[-1]


ATTACKS = [
    *(("run_receiver", attack) for attack in ("heads", "bodies", "big", "chunks")),
    # Half heads take the descriptors of uvicorn until a proxy in front closes them.
    *(("uvicorn-quiet", attack) for attack in ("bodies", "big", "chunks")),
]


@pytest.mark.parametrize(("name", "attack"), ATTACKS)
def test_pushes_beside_an_attack(start, name, attack, capsys):
    """Every one is answered; how much later at the 99th percentile, is printed."""
    server = start(name)
    alone = percentile_of(server)
    program = Path(__file__).parent / "attacker.py"
    path = f"/infobip/{SECRET}"
    attacker = start_child([sys.executable, program, str(server.port), path, attack])
    try:
        time.sleep(2)
        beside = percentile_of(server)
    finally:
        attacker.kill()
        attacker.wait()
    with capsys.disabled():  # the figure is the point
        sys.stdout.write(f"\n{name}, {attack}: {alone * 1e3:.1f} ms, {beside / alone:.1f} times\n")
    assert len(server.log()) < 100_000


@pytest.mark.parametrize("name", ["run_receiver", "gunicorn-aiohttp", "hypercorn"])
def test_half_heads(start, name):
    """Servers that close what sends nothing, or half a head, as docs/guides/servers.md says."""
    server = start(name)
    with server.connect() as idle, server.connect() as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        assert (idle.recv(100), half.recv(100)) == (b"", b"")
