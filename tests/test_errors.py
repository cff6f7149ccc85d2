"""The tree of errors."""

import copy
import inspect
import io
import pickle
import traceback
from collections.abc import Callable

import pytest

import infobip_async
from infobip_async import (
    BinaryMessage,
    InfobipClient,
    Outgoing,
    Recipient,
    TextMessage,
    WapBookmark,
    errors,
)
from infobip_async.lists import read_exclusions, read_list
from infobip_async.numbering import normalise

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
    assert local.value is None
    assert errors.LookupTimeoutError("late").lookup_id is None
    assert errors.LookupTimeoutError("late").destination == ""


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


CANARY = "4179302672"
"""Stands in each number, sender, key or text below."""

NAMES = ("+" + CANARY, "0" + CANARY, f"{CANARY};1", f"{CANARY} x", CANARY * 3)


def _list_of(text: str, **options: object) -> None:
    for row in read_list(io.BytesIO(text.encode()), **options):  # type: ignore[arg-type]
        if row.fault:
            raise errors.LocalProtocolError(row.fault)


MISTAKES: dict[str, Callable[[InfobipClient], object]] = {
    **{
        f"{name} {kind}": act
        for name in NAMES
        for kind, act in {
            "sent to": lambda client, name=name: client.send(TextMessage("Hi", "Shop"), name),
            "sent to by GET": lambda client, name=name: client.send_one(
                TextMessage("Hi", "Shop"), name
            ),
            "among others": lambda client, name=name: client.send(
                TextMessage("Hi", "Shop"), ["1", name]
            ),
            "as a sender": lambda client, name=name: client.send(
                TextMessage("Hi", f"{name}-and-more"), "1"
            ),
            "normalised": lambda _, name=name: normalise(name),
            "normalised in a country": lambda _, name=name: normalise(name, country="HR"),
            "in a list": lambda _, name=name: _list_of(f"{name}\n", country="HR"),
        }.items()
    },
    "a number twice": lambda client: client.send(TextMessage("Hi", "Shop"), [CANARY, CANARY]),
    "a number, not a string": lambda client: client.send(TextMessage("Hi", "S"), [int(CANARY)]),  # type: ignore[list-item]
    "a lookup": lambda client: client.submit_hlr([f"{CANARY};"]),
    "a lookup, not a string": lambda client: client.submit_hlr([int(CANARY)]),  # type: ignore[list-item]
    "a message id": lambda client: client.send(
        TextMessage("Hi", "Shop"), Recipient("1", f"{CANARY}\n")
    ),
    "an id to pull": lambda client: client.pull_reports([f"{CANARY},1"]),
    "a text": lambda client: client.send(TextMessage(f"{CANARY}\ud800", "Shop"), "1"),
    "a text without a message": lambda client: client.send(CANARY, "1"),  # type: ignore[arg-type]
    "octets": lambda client: client.send(BinaryMessage(CANARY.encode() * 20, "Shop"), "1"),
    "a url": lambda client: client.send(WapBookmark("Hi", f"{CANARY}\0", "Shop"), "1"),
    "a header that is none": lambda _: _list_of(f"{CANARY},Ana\n", recipient="1"),
    "a column that is missing": lambda _: _list_of(f"{CANARY},Ana\n", recipient="number"),
    "a quotation mark": lambda _: _list_of(f'number,name\n{CANARY},a"b\n', recipient="number"),
    "an exclusion": lambda _: read_exclusions(io.BytesIO(f"{CANARY * 3}\n".encode())),
    "an exclusion of a run": lambda client: _run(client, exclude=[f"+{CANARY * 3}"]),
    "a key": lambda client: _run(client, key=f"{CANARY}\ud800"),
}


async def _run(client: InfobipClient, *, key: str | None = None, **options: object) -> None:
    items = [Outgoing(Recipient("1"), TextMessage("Hi", "Shop"), key=key)]
    async for result in client.send_many(items, **options):  # type: ignore[arg-type]
        assert result.error is not None
        raise result.error


async def _done(act: Callable[[InfobipClient], object], client: InfobipClient) -> None:
    done = act(client)
    if inspect.isawaitable(done):
        await done


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_no_text_of_an_error_names_a_person(mistake: str) -> None:
    """A program that logs its errors writes no number, sender, key or text down."""
    async with InfobipClient("user", "password", allow_insecure=True) as client:
        with pytest.raises(errors.InfobipError) as caught:
            await _done(MISTAKES[mistake], client)
    told = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value)
    assert CANARY not in told.replace(" ", "")


def test_the_value_at_fault_is_an_attribute() -> None:
    """So that whoever gave it can be told."""
    with pytest.raises(errors.LocalProtocolError) as caught:
        normalise("+385 x")
    assert caught.value.value == "+385 x"
    assert str(caught.value) == "number: is no telephone number (§2/1.2)"
