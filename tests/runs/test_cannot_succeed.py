"""Runs that cannot succeed end at once and burn nothing, whatever kind they are.

And the same job, with the right address, does the rest: once each, but for what is in doubt.
"""

import asyncio
import itertools
import re

import attrs
import pytest

from infobip_async import (
    AuthenticationError,
    GatewayFailureError,
    NotSentError,
    OutcomeUnknownError,
)

UNREADABLE = ("404", "301", "401", "502", "HTML 200")
"""Answers that are none of the gateway's."""

TEXTS = {
    "wrong password": r"AUTH_FAILED|username or password wrong",
    "HTML 200": r"(status|OK nor FAILED).* from https://gateway\.invalid/\S*: is the address right"
    r'\? \(on_unknown="repeat" goes on with what is in doubt\)$',
    "refused": r"could not be reached, nothing was sent",
    **{
        status: rf"HTTP {status} from https://gateway\.invalid/\S*: is the address right\? "
        r'\(on_unknown="repeat" goes on with what is in doubt\)$'
        for status in ("404", "301", "401", "502")
    },
}
"""What the reason says."""

CAUSES = {
    "wrong password": AuthenticationError | GatewayFailureError,
    "refused": NotSentError,
    **dict.fromkeys(UNREADABLE, OutcomeUnknownError),
}

AWAY = 300
"""Seconds that a gateway which cannot be connected to is waited for."""


@pytest.fixture(params=["wrong password", *UNREADABLE, "refused"])
def trouble(request) -> str:
    """What there is in place of a gateway that takes the run's requests."""
    return request.param


@pytest.fixture
def wrong(place, trouble):
    """The place, with trouble."""
    if trouble == "wrong password":
        return attrs.evolve(place, password="wrong")
    place.counting.trouble = lambda: trouble
    return place


def check(ending, kind, counting, trouble) -> None:
    """Hold what is promised of every run that cannot succeed."""
    assert ending.stopped is not None
    assert re.search(TEXTS[trouble], str(ending.stopped))
    assert isinstance(ending.stopped.__cause__, CAUSES[trouble])
    in_doubt = 1 if trouble in UNREADABLE else 0
    read = len(ending.outcomes)
    assert ending.counts == {"NOT_SENT": read - in_doubt} | ({"UNKNOWN": 1} if in_doubt else {})
    requests = {"wrong password": kind.logins, "refused": 0}.get(trouble, 1)
    assert counting.requests == requests
    assert ending.seconds == pytest.approx(AWAY if trouble == "refused" else 0, abs=0.1)
    assert len(counting.tries) <= 150  # a client tries to connect twice
    assert not counting.copies


async def test_a_list(kind, size, wrong, trouble, many) -> None:
    """Costs one request, or none, and no item is reported as the gateway's judgement."""
    ending = await kind.run(wrong, many(size.window), size, None, "report")
    check(ending, kind, wrong.counting, trouble)
    assert ending.outcomes.keys() == set(many(size.window))


async def test_an_endless_source(kind, size, wrong, trouble, endless) -> None:
    """Is read no further than the window is, and each item that was read has its outcome."""
    ending = await kind.run(wrong, endless, size, None, "report")
    check(ending, kind, wrong.counting, trouble)
    assert len(ending.outcomes) == endless.read <= size.window


@pytest.mark.parametrize("on_unknown", [pytest.param("report", marks=pytest.mark.proof), "repeat"])
async def test_the_same_job_with_the_right_address(  # noqa: PLR0917 - a matrix
    kind, size, place, wrong, trouble, many, job, on_unknown
) -> None:
    """Does every item once, but the one in doubt, which `on_unknown="repeat"` does."""
    source = many(size.count)
    first = await kind.run(wrong, source, size, job, "report")
    check(first, kind, wrong.counting, trouble)
    place.counting.trouble = lambda: None
    second = await kind.run(place, source, size, job, on_unknown)
    assert second.stopped is None
    in_doubt = {number for number, outcome in first.outcomes.items() if outcome == "UNKNOWN"}
    left_out = in_doubt if on_unknown == "report" else set()
    assert {one for one, outcome in second.outcomes.items() if outcome == "UNKNOWN"} == left_out
    assert second.resumed == left_out
    assert second.counts[kind.done] == size.count - len(left_out)
    assert place.counting.copies == dict.fromkeys(set(source) - left_out, 1)
    third = await kind.run(place, source, size, job, "report")
    assert third.resumed == set(source)
    assert place.counting.copies.total() == size.count - len(left_out)


# --- in mid-run ---


@attrs.define
class Death:
    """A gateway that dies when so many requests have arrived, and may come back."""

    counting: object
    trouble: str
    requests: int
    seconds: float
    at: float | None = None

    def __call__(self) -> str | None:
        """Tell what trouble there is."""
        now = asyncio.get_running_loop().time()
        if self.at is None and self.counting.requests >= self.requests:
            self.at = now
        return self.trouble if self.at is not None and now < self.at + self.seconds else None


FOR_EVER = 1e9


def most_in_doubt(size) -> int:
    """Items of the requests that were in flight, and of the probes."""
    return 8 * 2 * size.batch + 5


USUAL = {("refused", FOR_EVER), ("502", 5), ("cut", FOR_EVER), ("HTML 200", 5)}


@pytest.mark.parametrize(
    ("death", "seconds"),
    [
        pytest.param(*case, marks=[pytest.mark.proof] * (case not in USUAL))
        for case in itertools.product(
            ["refused", "502", "cut", "HTML 200"], [5, FOR_EVER, 0.05, 29, 290]
        )
    ],
)
async def test_a_gateway_that_dies_in_mid_run(  # noqa: PLR0917 - a matrix
    kind, size, place, many, job, death, seconds
) -> None:
    """It is waited for; what became of each item is told as it is, and the job does the rest."""
    counting, source = place.counting, many(size.count)
    counting.trouble = Death(counting, death, 5, seconds)
    first = await kind.run(place, source, size, job, "report")
    comes_back = seconds < (AWAY if death == "refused" else 31)
    assert (first.stopped is None) == comes_back
    patience = AWAY if death == "refused" else 1 + 2 + 4 + 8 + 16
    assert first.seconds <= min(2 * seconds + 5, patience) + 1
    if not comes_back:
        assert first.seconds == pytest.approx(patience, abs=1)
    check_outcomes(first, kind, size, counting, death)
    if comes_back:
        assert len(first.outcomes) == size.count
        assert not first.counts["NOT_SENT"]

    counting.trouble = lambda: None
    second = await kind.run(place, source, size, job, "report")
    assert second.stopped is None
    assert max(counting.copies.values()) == 1
    unknown = {number for number, outcome in first.outcomes.items() if outcome == "UNKNOWN"}
    assert {one for one, outcome in second.outcomes.items() if outcome == "UNKNOWN"} == unknown
    assert second.counts[kind.done] == size.count - len(unknown)

    third = await kind.run(place, source, size, job, "repeat")
    assert third.counts == {kind.done: size.count}
    twice = {number for number, copies in counting.copies.items() if copies > 1}
    assert twice <= unknown
    assert counting.copies.keys() == set(source)
    assert max(counting.copies.values()) <= 2


def check_outcomes(ending, kind, size, counting, death) -> None:
    """Hold that each outcome is what the gateway has seen."""
    done = {number for number, outcome in ending.outcomes.items() if outcome == kind.done}
    unknown = {number for number, outcome in ending.outcomes.items() if outcome == "UNKNOWN"}
    assert set(ending.counts) <= {kind.done, "UNKNOWN", "NOT_SENT"}
    assert done <= counting.copies.keys() <= done | unknown
    assert max(counting.copies.values()) == 1
    assert len(unknown) <= (0 if death == "refused" else most_in_doubt(size))


async def test_a_gateway_that_loses_replies_in_mid_run_with_repeat(kind, size, place, many) -> None:
    """Lookups are repeated within the run, sends are not."""
    counting = place.counting
    counting.trouble = Death(counting, "cut", 5, 0.005)
    ending = await kind.run(place, many(size.count), size, None, "repeat")
    assert ending.stopped is None
    unknown = ending.counts["UNKNOWN"]
    assert unknown > 0 if kind.done == "SENT" else unknown == 0
    assert max(counting.copies.values()) == (1 if kind.done == "SENT" else 2)
