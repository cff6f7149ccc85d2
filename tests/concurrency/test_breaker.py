"""The circuit breaker: the time is an argument."""

import pytest

from infobip_async.concurrency.breaker import PAUSES, THRESHOLD, Breaker


@pytest.fixture
def breaker() -> Breaker:
    """One that has had an answer."""
    breaker = Breaker(unreachable_timeout=20)
    breaker.answered()
    return breaker


def test_it_starts_alone() -> None:
    """Until there was an answer, one request goes out at a time, without a pause."""
    breaker = Breaker(unreachable_timeout=20)
    assert (breaker.alone, breaker.proven, breaker.waits) == (True, False, False)
    assert breaker.not_before < 0
    breaker.answered()
    assert (breaker.alone, breaker.proven, breaker.waits) == (False, True, False)


def test_pauses_begin_after_some_failures(breaker: Breaker) -> None:
    """In a row: an answer between them makes them a new one."""
    for _ in range(THRESHOLD - 1):
        assert breaker.unanswered(100, alone=False)
    assert not breaker.alone
    breaker.answered()
    for _ in range(THRESHOLD - 1):
        assert breaker.unanswered(100, alone=False)
    assert not breaker.alone
    assert breaker.unanswered(100, alone=False)
    assert (breaker.alone, breaker.not_before, breaker.waits) == (True, 101, True)


def test_probes_come_ever_later(breaker: Breaker) -> None:
    """After 1, 2, 4, 8 and 16 seconds; the failure of the last one is the end."""
    now, pauses = 100.0, []
    for _ in range(THRESHOLD):
        breaker.unanswered(now, alone=False)
    for _ in PAUSES[1:]:
        pauses.append(breaker.not_before - now)
        now = breaker.not_before
        assert breaker.unanswered(now, alone=True)
    pauses.append(breaker.not_before - now)
    assert pauses == [1, 2, 4, 8, 16]
    assert not breaker.unanswered(breaker.not_before, alone=True)


def test_an_answer_ends_the_pauses(breaker: Breaker) -> None:
    """And the next trouble begins with the shortest one."""
    for _ in range(THRESHOLD + 2):
        breaker.unanswered(100, alone=False)
        breaker.unanswered(100, alone=True)
    breaker.answered()
    assert (breaker.alone, breaker.waits) == (False, False)
    for _ in range(THRESHOLD):
        breaker.unanswered(200, alone=False)
    assert breaker.not_before == 201


def test_requests_that_began_before_the_trouble_say_nothing_new(breaker: Breaker) -> None:
    """However many fail that were in flight when the pauses began."""
    for _ in range(THRESHOLD + 50):
        assert breaker.unanswered(100, alone=False)
    assert breaker.not_before == 101


def test_failures_count_from_the_start() -> None:
    """Without any answer, three requests in a row make the first pause, and eight are the end."""
    breaker = Breaker(unreachable_timeout=20)
    goes_on = [breaker.unanswered(100, alone=True) for _ in range(THRESHOLD + len(PAUSES))]
    assert goes_on == [True] * 7 + [False]


def test_a_doubt_makes_it_one_at_a_time(breaker: Breaker) -> None:
    """Without a pause, since the peer did answer."""
    breaker.doubt()
    assert breaker.alone is True
    assert breaker.not_before < 0
    assert not breaker.waits
    breaker.answered()
    assert not breaker.alone


def test_a_peer_that_is_away_is_tried_again(breaker: Breaker) -> None:
    """One request at a time, ever later, up to the limit, and once at the limit."""
    now, times = 100.0, []
    while breaker.unreached(now):
        assert (breaker.alone, breaker.waits) == (True, True)
        now = breaker.not_before
        times.append(now - 100)
    assert times == pytest.approx([0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3, 20])


def test_without_a_limit_nobody_waits() -> None:
    """The first request that does not leave is the end."""
    assert not Breaker(unreachable_timeout=0).unreached(100)
    assert Breaker(unreachable_timeout=0.1).unreached(100)


def test_requests_that_fail_together_make_one_pause(breaker: Breaker) -> None:
    """Those that began before the pause do not make it longer."""
    for moment in range(5):
        breaker.unreached(100 + moment / 100)
    assert breaker.not_before == 100.1


@pytest.mark.parametrize("answer", [True, False])
def test_who_can_be_reached_again_is_not_away(breaker: Breaker, answer: bool) -> None:
    """A request that arrives ends the wait, with an answer or without; the next one is new."""
    breaker.unreached(100)
    breaker.unreached(101)
    if answer:
        breaker.answered()
    else:
        breaker.unanswered(110, alone=True)
    assert breaker.unreached(119)
    assert breaker.not_before == 119.1
    assert breaker.unreached(125)
