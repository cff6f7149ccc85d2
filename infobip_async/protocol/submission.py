"""The parameters of a message that §2/1.2 and §2/2 share, by their names in the XML."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import Npi, Submission, SubmissionType, Ton
from infobip_async.numbering.msisdn import check_sender
from infobip_async.protocol import form

E = TypeVar("E", Ton, Npi)

_FLAGS: Final = {"": False, "0": False, "false": False, "1": True, "true": True}
_TYPES: Final = {kind.value.lower(): kind for kind in SubmissionType}


def parameters(submission: Submission) -> Iterator[tuple[str, str]]:
    """Yield the parameters that are given, in the document's order.

    Raises:
        LocalProtocolError: the sender is empty or too long; or both or neither of text and binary
            are given.
    """
    yield "sender", check_sender(submission.sender)
    if bool(submission.text) == bool(submission.binary):
        raise LocalProtocolError(
            "text or binary must be given, and not both", field="text", section="2/1.2"
        )
    if submission.text:
        yield "text", submission.text
    if submission.flash:
        yield "flash", "1"
    if submission.type is not None:
        yield "type", submission.type.value
    if submission.url is not None:
        yield "bookmark", submission.url
    if submission.binary:
        yield "binary", submission.binary.hex().upper()
    for name, value in (
        ("datacoding", submission.data_coding or None),
        ("esmclass", submission.esm_class or None),
        ("srcton", submission.source_addr_ton),
        ("srcnpi", submission.source_addr_npi),
        ("destton", submission.dest_addr_ton),
        ("destnpi", submission.dest_addr_npi),
    ):
        if value is not None:
            yield name, str(int(value))


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in _FLAGS:
        raise ValueError(f"{name} is neither 0 nor 1")
    return _FLAGS[text]


def _member(values: Mapping[str, str], name: str, enum: type[E]) -> E | None:
    return enum(form.octet(values[name])) if values.get(name, "").strip() else None


def submission(values: Mapping[str, str]) -> Submission | None:
    """Read the parameters as a gateway does: empty ones count as missing, the type has any case.

    Returns:
        The message; None if a value is not of the form of its parameter, or not in the document.
    """
    kind = values.get("type", "").strip().lower()
    if kind and kind not in _TYPES:
        return None
    try:
        return _submission(values, _TYPES[kind] if kind else None)
    except ValueError:
        return None


def _submission(values: Mapping[str, str], kind: SubmissionType | None) -> Submission:
    return Submission(
        sender=values.get("sender", ""),
        text=values.get("text") or None,
        binary=bytes.fromhex(values.get("binary", "")) or None,
        flash=_flag(values, "flash"),
        type=kind,
        url=values.get("bookmark") or None,
        data_coding=form.octet(values.get("datacoding", "")),
        esm_class=form.octet(values.get("esmclass", "")),
        source_addr_ton=_member(values, "srcton", Ton),
        source_addr_npi=_member(values, "srcnpi", Npi),
        dest_addr_ton=_member(values, "destton", Ton),
        dest_addr_npi=_member(values, "destnpi", Npi),
    )
