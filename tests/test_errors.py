"""The tree of errors."""

import copy
import inspect
import pickle

import pytest

import infobip_async
from infobip_async import errors

ALL = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, errors.InfobipError)
]
RAISED = [error for error in ALL if error is not errors.ProtocolError]


def drawn() -> dict[str, str]:
    """Each error's parent, from the tree in the docstring."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = next((word for word in line.split() if word.endswith("Error")), "")
        if not name or line.startswith("No text"):
            continue
        depth = line.index(name) // 4
        parents[name] = above[depth - 1] if depth else "Exception"
        above[depth:] = [name]
    return parents


def test_the_tree_is_as_it_is_drawn() -> None:
    """Every error has its place in the docstring, under the first of its bases."""
    assert drawn() == {error.__name__: error.__bases__[0].__name__ for error in ALL}


def test_every_error_can_be_imported_from_the_package() -> None:
    """Users catch them by name."""
    for error in ALL:
        assert getattr(infobip_async, error.__name__) is error
        assert error.__name__ in infobip_async.__all__


@pytest.mark.parametrize("error", RAISED)
def test_every_error_can_be_raised_with_a_text_alone(error: type[errors.InfobipError]) -> None:
    """The further attributes have values that say nothing."""
    with pytest.raises(errors.InfobipError, match="what happened"):
        raise error("what happened")


def test_what_is_not_said_is_empty() -> None:
    """And the name of a code that is not known is UNKNOWN."""
    refused = errors.GatewayRefusedError("no")
    assert (refused.code, refused.name, refused.operation) == ("", "UNKNOWN", "")
    local = errors.LocalProtocolError("wrong")
    assert (local.field, local.section) == ("", "")
    assert errors.RemoteProtocolError("odd").raw == b""
    assert errors.OutcomeUnknownError("lost").message_ids == ()
    assert errors.LookupTimeoutError("late").lookup_id is None


def test_a_protocol_error_is_local_or_remote() -> None:
    """Never just one of the two."""
    with pytest.raises(TypeError, match="raise LocalProtocolError or RemoteProtocolError"):
        errors.ProtocolError("which?")


def test_two_are_errors_of_the_language_as_well() -> None:
    """So that code which knows only those can catch them."""
    assert issubclass(errors.LocalProtocolError, ValueError)
    assert issubclass(errors.LookupTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("field", "section", "text"),
    [
        ("sender", "2/1.2", "sender: is empty (§2/1.2)"),
        ("sender", "", "sender: is empty"),
        ("", "2/1.2", "is empty (§2/1.2)"),
        ("", "", "is empty"),
    ],
)
def test_the_text_of_a_callers_mistake(field: str, section: str, text: str) -> None:
    """It names the field and the section where they are known."""
    assert str(errors.LocalProtocolError("is empty", field=field, section=section)) == text


SAMPLES = [
    errors.GatewayRefusedError("no", code=-3, name="NOT_ENOUGH_CREDITS", operation="send"),
    errors.AuthenticationError("no", code="UNKNOWN_COMMAND", name="x", operation="credits"),
    errors.NotSentError("lost"),
    errors.OutcomeUnknownError("lost", message_ids=("a", "b")),
    errors.LocalProtocolError("wrong", field="text", section="2/1.2"),
    errors.RemoteProtocolError("odd", raw=b"\xff"),
    errors.LookupTimeoutError("late", lookup_id="a-1"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_copying_and_pickling(error: errors.InfobipError) -> None:
    """As it must to cross from one process to another."""
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert type(twin) is type(error)
        assert (str(twin), twin.args) == (str(error), error.args)
        assert vars(twin) == vars(error)


def test_what_the_peer_sent_is_beside_the_text_and_not_in_it() -> None:
    """It may repeat a password, and texts end in logs."""
    error = errors.RemoteProtocolError("no readable status", raw=b"password=marked")
    assert error.raw == b"password=marked"
    assert "marked" not in f"{error} {error!r}"
