"""What a failed request means for its items, and for the run that it belongs to."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from infobip_async.errors import (
    AuthenticationError,
    GatewayRefusedError,
    LocalProtocolError,
    NotEnoughCreditsError,
    NotSentError,
    OutcomeUnknownError,
    RemoteProtocolError,
)


class Answer(Enum):
    """What came back on a request."""

    READABLE = auto()
    """The gateway carried the request out, or refused it."""
    UNREADABLE = auto()
    """Something answered, and not as the gateway does: another HTTP status, another format."""
    NONE = auto()
    """Nothing, though the request may have arrived."""
    UNREACHED = auto()
    """Nothing, since no byte left this machine."""
    NOT_ASKED = auto()
    """The request broke a rule before it could leave."""


NOT_MADE: Final = LocalProtocolError("the request was not made")
"""In place of the failure of a request that did not come to be made."""


def answer_of(fault: Exception | None) -> Answer:
    """Say what came back on a request that failed, or on one that did not (None)."""
    match fault:
        case None | GatewayRefusedError():
            return Answer.READABLE
        case NotSentError():
            return Answer.UNREACHED
        case LocalProtocolError():
            return Answer.NOT_ASKED
        case _ if any(isinstance(link, RemoteProtocolError) for link in _chain(fault)):
            return Answer.UNREADABLE
        case _:
            return Answer.NONE


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__


def outcome_of(fault: Exception) -> str:
    """Name the outcome of the items of a failed request.

    Returns:
        The name that `SendOutcome` and `HlrOutcome` share: ``"NOT_SENT"``, ``"REFUSED"`` or
        ``"UNKNOWN"``. Only what the gateway itself judged, or a rule of the document forbids, is
        refused.
    """
    match fault:
        case NotSentError():
            return "NOT_SENT"
        case _ if concerns_account(fault):
            return "NOT_SENT"
        case GatewayRefusedError() | LocalProtocolError():
            return "REFUSED"
        case _:
            return "UNKNOWN"


def concerns_account(fault: Exception | None) -> bool:
    """Whether a refusal is about the login or the credits, so that each request would get one."""
    return isinstance(fault, AuthenticationError | NotEnoughCreditsError)


def is_final(fault: Exception | None) -> bool:
    """Whether the client can send no more: it was closed, or its proxy refuses the login."""
    return isinstance(fault, NotSentError) and fault.final


def explain(fault: Exception) -> str:
    """Say why a run ended, and which way out there is."""
    told = str(fault) or repr(fault)
    if isinstance(fault, OutcomeUnknownError):
        return f'{told} (on_unknown="repeat" goes on with what is in doubt)'
    return told
