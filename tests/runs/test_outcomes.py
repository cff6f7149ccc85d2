"""What a failed request means."""

import pytest

from infobip_async import (
    AuthenticationError,
    GatewayFailureError,
    InfobipError,
    InvalidDestinationError,
    InvalidRequestError,
    LocalProtocolError,
    NetworkNotCoveredError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.runs.outcomes import Answer, answer_of, explain, is_final, outcome_of


def unreadable() -> OutcomeUnknownError:
    """What the client makes of a reply that it cannot read."""
    fault = OutcomeUnknownError("the outcome is unknown: HTTP 404")
    fault.__cause__ = OutcomeUnknownError("HTTP 404")
    fault.__cause__.__cause__ = RemoteProtocolError("HTTP 404")
    return fault


@pytest.mark.parametrize(
    ("fault", "answer", "outcome"),
    [
        (AuthenticationError("no"), Answer.READABLE, "NOT_SENT"),
        (NotEnoughCreditsError("poor"), Answer.READABLE, "NOT_SENT"),
        (GatewayFailureError("ill"), Answer.READABLE, "REFUSED"),
        (InvalidDestinationError("bad"), Answer.READABLE, "REFUSED"),
        (InvalidRequestError("bad"), Answer.READABLE, "REFUSED"),
        (NetworkNotCoveredError("far"), Answer.READABLE, "REFUSED"),
        (LocalProtocolError("bad"), Answer.NOT_ASKED, "REFUSED"),
        (NotSentError("away"), Answer.UNREACHED, "NOT_SENT"),
        (NotSentError("closed", final=True), Answer.UNREACHED, "NOT_SENT"),
        (OutcomeUnknownError("lost"), Answer.NONE, "UNKNOWN"),
        (unreadable(), Answer.UNREADABLE, "UNKNOWN"),
        (RemoteProtocolError("what?"), Answer.UNREADABLE, "UNKNOWN"),
        (ZeroDivisionError("a bug"), Answer.NONE, "UNKNOWN"),
    ],
)
def test_each_failure(fault: Exception, answer: Answer, outcome: str) -> None:
    """Has its meaning for the run, and for its items."""
    assert answer_of(fault) is answer
    assert outcome_of(fault) == outcome


def test_no_failure() -> None:
    """Is an answer."""
    assert answer_of(None) is Answer.READABLE


def test_a_client_that_is_closed() -> None:
    """Sends nothing more, whoever asks."""
    assert is_final(NotSentError("closed", final=True))
    assert not is_final(NotSentError("away"))
    assert not is_final(None)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (NotSentError("away"), "away"),
        (unreadable(), 'unknown: HTTP 404 (on_unknown="repeat" goes on with what is in doubt)'),
        (InfobipError(), "InfobipError()"),
    ],
)
def test_a_reason_tells_the_way_out(fault: Exception, told: str) -> None:
    """Where something is in doubt."""
    assert explain(fault).endswith(told)
