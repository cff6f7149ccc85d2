"""``infobip-async check``."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from infobip_async import ProbeResult
from infobip_async.cli.commands import check
from platforms import needs_signals

Run = Callable[..., Result]


@needs_signals
def test_a_running_receiver(start: Callable[..., Any], run: Run, gateway: Any) -> None:
    """Each kind of push arrives, and nothing is printed as an event."""
    receiver = start("serve", "--bind", f"127.0.0.1:{gateway.port}")
    assert receiver.stderr.readline().startswith("Enter")
    result = run("check", "--public-url", f"http://127.0.0.1:{gateway.port}")
    receiver.send_signal(signal.SIGTERM)
    stdout, stderr = receiver.communicate()
    assert (receiver.returncode, stdout) == (0, "")
    assert "Traceback" not in stderr
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *("dlr", "dlr", "hlr", "inbound", "inbound")
    ]
    assert result.stdout.count(" arrived\n") == 5


def test_what_stands_in_the_way(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the exit code tells; a reason that repeats is printed once."""
    asked: list[object] = []

    async def check_receiver(*args: object, **options: object) -> list[ProbeResult]:
        asked.extend([args, options])
        return [
            ProbeResult("dlr", "a delivery report", arrived=True),
            ProbeResult("hlr", "HLR reports", arrived=False, problem="HTTP 401: ..."),
            ProbeResult("inbound", "an inbound SMS", arrived=False, problem="HTTP 401: ..."),
        ]

    monkeypatch.setattr(check, "check_receiver", check_receiver)
    result = run("check", "--public-url", "https://x/sms", "--secret", "s", "--timeout", "3")
    assert asked == [("https://x/sms",), {"secret": "s", "timeout": 3.0}]
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "dlr      a delivery report arrived",
        "hlr      HLR reports did not arrive",
        "         HTTP 401: ...",
        "inbound  an inbound SMS did not arrive",
        "         the same",
    ]


def test_wrong_usage_of_check_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is needed, and an address that is one."""
    monkeypatch.delenv("INFOBIP_WEBHOOK_SECRET", raising=False)
    result = run("check", "--public-url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "INFOBIP_WEBHOOK_SECRET" in result.stderr
    assert run("check", "--public-url", "sms.example.com", "--secret", "s").exit_code == 2
