"""What the console keeps is bounded."""

import pytest

from infobip_async.protocol.exchange import HttpReply, HttpRequest, PushKind
from infobip_async.simulator import PushAttempt
from infobip_async.simulator.console import recorder as module
from infobip_async.simulator.console.recorder import Recorder
from infobip_async.simulator.records import Arrival, Exchange, Operation, Post, Pushed


def arrival(body: bytes = b"", at: float = 0.0) -> Arrival:
    """A refused request."""
    exchange = Exchange(Operation.SEND, HttpReply(200, b""))
    return Arrival(at=at, request=HttpRequest("POST", "", body), exchange=exchange)


def pushed(*ids: str, body: bytes = b"") -> Pushed:
    """An attempt that was accepted."""
    request = HttpRequest("POST", "http://x/", body)
    post = Post(PushKind.DELIVERY_REPORTS, request, len(ids), ids)
    return Pushed(post, PushAttempt(PushKind.DELIVERY_REPORTS, len(ids), 0.0, 200), 0.0)


def test_the_oldest_requests_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number, while figures go on."""
    monkeypatch.setattr(module, "KEPT", 3)
    recorder = Recorder()
    for _ in range(5):
        recorder.arrived(arrival(), 0.0)
    assert [number for number, _, _ in recorder.rows()] == [5, 4, 3]
    assert recorder.totals["requests"] == 5


def test_large_requests_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their octets; the latest stays, however large it is."""
    monkeypatch.setattr(module, "_OCTETS", 100)
    recorder = Recorder()
    for size in (40, 50, 60, 200):
        recorder.arrived(arrival(b"x" * size), 0.0)
    assert [len(each.request.body) for _, each, _ in recorder.rows()] == [200]


def test_pushes_are_found_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as they are kept; nothing stays of those that made room."""
    monkeypatch.setattr(module, "KEPT", 2)
    recorder = Recorder()
    for ids in (("a", "b"), ("b",), ("c",)):
        recorder.pushed(pushed(*ids))
    assert recorder.pushes_on("a") == []
    assert [number for number, _ in recorder.pushes_on("b")] == [2]
    assert recorder.pushes_on(None) == []
    assert recorder.totals["pushes accepted"] == 3
    assert len(recorder._by_id) == 2


def test_large_pushes_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their octets."""
    monkeypatch.setattr(module, "_OCTETS", 100)
    recorder = Recorder()
    for size in (60, 60, 200):
        recorder.pushed(pushed("a", body=b"x" * size))
    assert [number for number, _ in recorder.pushes_on("a")] == [3]


def test_figures_are_of_spans_of_time() -> None:
    """Of five seconds each; spans in which nothing happened have none."""
    recorder = Recorder()
    for at in (1.0, 4.9, 5.0, 60.0):
        recorder.arrived(arrival(at=at), 1.5)
    assert [(at, figures["requests"]) for at, figures in recorder.series] == [
        (0, 2),
        (5, 1),
        (60, 1),
    ]
    assert (recorder.totals["credits"], recorder.totals["refused"]) == (6.0, 4)


def test_nothing_stays_of_what_is_forgotten() -> None:
    """Only the revision grows."""
    recorder = Recorder()
    recorder.arrived(arrival(), 0.0)
    recorder.pushed(pushed("a"))
    before = recorder.revision
    recorder.reset()
    assert recorder.revision > before
    assert (list(recorder.rows()), recorder.pushes_on("a"), dict(recorder.totals)) == ([], [], {})
