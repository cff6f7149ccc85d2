"""What Prometheus and Grafana ask the example's metrics, asked of a real Prometheus."""

import asyncio
import json
import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from children import start_child_async
from infobip_async.simulator import Simulator
from infobip_async.webhook import callback_urls
from ports import reserved_port

FOLDER = Path(__file__).parent.parent / "examples" / "observability"
SECRET = "long-random-string"
LIMIT = 60.0

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="needs Prometheus: apt-get install prometheus"
)


def queries() -> list[str]:
    """The queries of the dashboard, as Grafana sends them."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


LABELS = {
    *("infobip_account", "infobip_outcome", "infobip_state", "infobip_status"),
    *("messaging_operation_name", "messaging_destination_name"),
}


def metrics_of(queries: list[str]) -> set[str]:
    """The metrics that queries name; other words of ours are their labels."""
    return set(re.findall(r"\b(?:infobip|messaging)_\w+", " ".join(queries))) - LABELS


def rules() -> list[str]:
    """The queries of the alerts."""
    text = (FOLDER / "alerts.yml").read_text(encoding="utf-8")
    return re.findall(r"expr: (?:>-)?(.*?)(?=for:|annotations:)", text, re.DOTALL)


def exported() -> set[str]:
    """The metrics that the documentation lists, by the names that Prometheus has for them."""
    names: set[str] = set()
    page = (FOLDER.parent.parent / "docs" / "telemetry.md").read_text(encoding="utf-8")
    for name, kind in re.findall(
        r"^\| `([a-z_.]+)` \| (histogram|counter|level)", page, re.MULTILINE
    ):
        base = name.replace(".", "_")
        ends = {
            "histogram": ("_seconds_bucket", "_seconds_count"),
            "counter": ("_total",),
            "level": ("",),
        }
        names.update(base + end for end in ends[kind])
    return names


def test_queries_are_of_metrics_that_there_are() -> None:
    """Nobody looks at a metric of another name, which would be empty for ever."""
    asked = metrics_of(queries() + rules())
    assert asked <= exported()
    assert len(rules()) > 10
    # What is exported and nobody looks at, is not worth its cost.
    looked_at = {name.removesuffix("_bucket").removesuffix("_count") for name in asked}
    assert {name.removesuffix("_bucket").removesuffix("_count") for name in exported()} == looked_at


async def push_twice(http: httpx.AsyncClient, url: str) -> None:
    """Push a row and a row that cannot be read, again and again until the service takes them."""
    rows, taken = "38598514674;1;DELIVRD;2019011231213;385980501;0\nno row", 0
    while taken < 2:
        with suppress(httpx.TransportError):
            taken += (await http.post(url, data={"dlr": rows})).is_success
        await asyncio.sleep(0.1)


@pytest.mark.proof
@needs_prometheus
async def test_dashboard_and_alerts_are_answered(simulator: Simulator, tmp_path: Path) -> None:
    """Each query of the dashboard is one that Prometheus can answer, of metrics that are there."""
    with reserved_port() as port, reserved_port() as metrics, reserved_port() as prometheus:
        ports = {"PORT": str(port), "METRICS_PORT": str(metrics), "JOURNAL": f"{tmp_path}/pushes"}
    simulator.callbacks = callback_urls(f"http://127.0.0.1:{port}/infobip", secret=SECRET)
    config = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("9464", str(metrics)).replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    service = await start_child_async(
        sys.executable, str(FOLDER / "service.py"), env={**os.environ, **ports}
    )
    server = await start_child_async(
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{prometheus}",
        "--log.level=error",
    )
    try:
        async with asyncio.timeout(LIMIT), httpx.AsyncClient() as http:
            ask = f"http://127.0.0.1:{prometheus}/api/v1"
            await push_twice(http, f"http://127.0.0.1:{port}/infobip/{SECRET}/hlr")
            present: set[str] = set()
            while not present.issuperset(metrics_of(queries())):
                await asyncio.sleep(0.2)
                try:
                    names = await http.get(f"{ask}/label/__name__/values")
                    present = set(names.json()["data"])
                except httpx.TransportError:
                    continue
            for query in queries() + rules():
                reply = (await http.get(f"{ask}/query?query={quote(query)}")).json()
                assert (query, reply["status"]) == (query, "success")
                # The first rows of their kind, as the push had them, are worth an alert.
                if query in rules() and "unreadable" in query:
                    assert reply["data"]["result"]
            loaded = (await http.get(f"{ask}/rules")).json()["data"]["groups"][0]["rules"]
            assert {rule["health"] for rule in loaded} <= {"ok", "unknown"}
            assert len(loaded) == len(rules())
    finally:
        for child in (service, server):
            child.terminate()
            await child.wait()
