"""Who may push what, decided from a request's head and size alone."""

import hmac
from http import HTTPStatus

import attrs
import pytest

from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.receiver.admission import Admission, Head, Limits, RefusedError, answer, query_of

SECRETS = ("the-first-one", "the-other-one")


@pytest.fixture
def admission() -> Admission:
    """Admission with two secrets, and bodies of ten octets."""
    return Admission(SECRETS, Limits(body_bytes=10, query_bytes=10))


def refused(admission: Admission, method: str, path: str, **headers: str) -> RefusedError:
    """How a head is refused."""
    with pytest.raises(RefusedError) as caught:
        admit(admission, method, path, **headers)
    return caught.value


def admit(admission: Admission, method: str, path: str, **headers: str) -> PushKind:
    """Judge a head; the receiver is mounted at ``/sms``."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return admission.admit(Head(method=method, tail=path, raw_path=f"/sms/{path}", headers=pairs))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("POST", PushKind.DELIVERY_REPORTS),
        ("POST", PushKind.HLR_REPORTS),
        ("GET", PushKind.INBOUND_SMS),
    ],
)
def test_what_is_admitted(admission, secret, method, kind):
    """Each kind of push, below any of the secrets."""
    assert admit(admission, method, f"{secret}/{kind.value}", Content_Length="10") is kind


@pytest.mark.parametrize("path", ["dlr", "x/dlr", "the-first-one/x", "the-first-on/dlr", "", "/"])
def test_strangers(admission, path):
    """A wrong secret and a wrong path cannot be told from each other, whatever else is wrong."""
    for method in ("POST", "PUT"):
        refusal = refused(admission, method, path, Content_Length="11", Content_Encoding="gzip")
        assert (refusal.status, refusal.text) == (404, "404: Not Found")
        assert (refusal.headers, refusal.from_stranger) == ({}, True)


def test_every_secret_is_compared(admission, monkeypatch):
    """In constant time each, so that the time of an answer tells nothing."""
    compared = []

    def noting(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return given == known

    monkeypatch.setattr(hmac, "compare_digest", noting)
    admit(admission, "POST", "the-first-one/dlr")
    assert compared == [b"the-first-one/", b"the-other-one/"]


def test_no_secret():
    """Without secrets there is no segment for one."""
    admission = Admission((), Limits(body_bytes=10))
    assert admit(admission, "POST", "dlr") is PushKind.DELIVERY_REPORTS
    assert refused(admission, "POST", "/dlr").status == 404


def test_an_encoded_path(admission):
    """A path that is only decoded into one of ours is another one."""
    with pytest.raises(RefusedError) as caught:
        admission.admit(
            Head(method="POST", tail="the-first-one/dlr", raw_path="/sms/the-first-one%2Fdlr")
        )
    assert caught.value.status is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "name", "headers", "answered"),
    [
        ("GET", "dlr", {}, (405, {"Allow": "POST"})),
        ("POST", "inbound", {}, (405, {"Allow": "GET"})),
        ("POST", "dlr", {"content_encoding": "GZIP"}, (415, {})),
        ("POST", "dlr", {"Content_Encoding": "identity", "content_encoding": "x"}, (415, {})),
        ("POST", "hlr", {"content_length": "11"}, (413, {})),
        ("POST", "hlr", {"Content_Length": "9" * 5_000}, (413, {})),
    ],
)
def test_what_its_head_condemns(admission, method, name, headers, answered):
    """Whoever knows the secret is told what is wrong, before a body is read."""
    refusal = refused(admission, method, f"the-first-one/{name}", **headers)
    assert (refusal.status, refusal.headers) == answered
    assert not refusal.from_stranger
    assert refusal.text.startswith(f"{answered[0]}: ")


@pytest.mark.parametrize("length", ["", "-1", "1.5", "many"])
def test_a_length_that_is_none(admission, length):
    """The server refuses it, or measures the body."""
    admit(admission, "POST", "the-first-one/dlr", Content_Length=length)


def test_a_query_that_is_too_long(admission):
    """Servers have limits of their own, or none."""
    head = Head(method="GET", tail="the-first-one/inbound", raw_path="/the-first-one/inbound")
    assert admission.admit(attrs.evolve(head, query="x" * 10)) is PushKind.INBOUND_SMS
    with pytest.raises(RefusedError) as caught:
        admission.admit(attrs.evolve(head, query="x" * 11))
    assert caught.value.status == 414


@pytest.mark.parametrize(
    ("octets", "query"),
    [
        (b"text=*123#", "text=*123#"),
        (b"text=%C5%A1+x", "text=%C5%A1+x"),
        (b"text=\xc5\xa1 \x00\x7f", "text=%C5%A1%20%00%7F"),
    ],
)
def test_queries(octets, query):
    """Octets that are not printable are encoded, as they should have been."""
    assert query_of(octets) == query


def test_the_size_of_a_body(admission):
    """It counts in pieces and as a whole."""
    admission.check_size(10)
    push = admission.push(PushKind.HLR_REPORTS, "a=b", bytes(10), 7.0)
    assert push == RawPush(PushKind.HLR_REPORTS, "a=b", bytes(10), 7.0)
    for attempt in (
        lambda: admission.check_size(11),
        lambda: admission.push(PushKind.HLR_REPORTS, "", bytes(11), 7.0),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        (PushKind.DELIVERY_REPORTS, HTTPStatus.OK, "OK"),
        (PushKind.INBOUND_SMS, HTTPStatus.OK, ""),
        (PushKind.INBOUND_SMS, HTTPStatus.INTERNAL_SERVER_ERROR, "500: Internal Server Error"),
    ],
)
def test_answers(kind, status, text):
    """Their bodies are short and fixed."""
    assert answer(kind, status) == text


def test_no_repr_holds_a_secret(admission):
    """It may be logged."""
    assert not any(secret in repr(admission) for secret in SECRETS)
