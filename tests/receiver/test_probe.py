"""Probes: what the receiver answers to them, and that nothing else passes for one."""

import attrs
import pytest

from infobip_async.protocol.exchange import PushKind
from infobip_async.receiver.admission import Admission, RefusedError
from infobip_async.receiver.probe import Probe, octets_in

SECRETS = ("the-first-one", "the-other-one")
KIND = PushKind.INBOUND_SMS


@pytest.fixture
def admission() -> Admission:
    """Admission with two secrets."""
    return Admission(SECRETS)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_probe_is_found(admission, secret):
    """Whichever secret has signed it, with what else is in its query."""
    probe = Probe.make(KIND, secret, "n0nce", "text=x")

    assert admission.probe(KIND, probe.query) == probe
    assert probe.query.startswith("infobip-async-probe=n0nce.")


def test_a_probe_without_a_secret():
    """Where paths have none, anybody may ask."""
    probe = Probe.make(KIND, "", "n0nce")

    assert Admission(()).probe(KIND, probe.query) == probe


@pytest.mark.parametrize("query", ["", "text=x", "text=infobip-async-probe=", "x-probe=1"])
def test_pushes(admission, query):
    """A push is no probe."""
    assert admission.probe(KIND, query) is None


@pytest.mark.parametrize(
    "query",
    [
        "infobip-async-probe=",
        "infobip-async-probe=n0nce." + "0" * 64,
        Probe.make(KIND, "another", "n0nce").query,
        Probe.make(PushKind.HLR_REPORTS, SECRETS[0], "n0nce").query,
        Probe.make(KIND, SECRETS[0], "n0nce").query.replace("n0nce", "other"),
    ],
)
def test_forged_probes(admission, query):
    """They are refused, and are no pushes either."""
    with pytest.raises(RefusedError) as caught:
        admission.probe(KIND, query)
    assert caught.value.status == 400


def test_answers():
    """Each octet counts, of the query and of the body, and where one ends."""
    probe = Probe.make(KIND, SECRETS[0], "n0nce")
    answer = probe.answer(b"body")

    assert octets_in(answer) == (len(probe.query), 4)
    others = [
        probe.answer(b"Body"),
        attrs.evolve(probe, query=probe.query + "b").answer(b"ody"),
        attrs.evolve(probe, secret=SECRETS[1]).answer(b"body"),
    ]
    assert answer not in others


@pytest.mark.parametrize("answer", ["", "OK", "infobip-async-probe 1 2", "x 1 2 " + "0" * 64])
def test_no_answers(answer):
    """What others answer is told from it."""
    assert octets_in(answer) is None


def test_no_repr_holds_a_secret():
    """It may be logged."""
    assert SECRETS[0] not in repr(Probe.make(KIND, SECRETS[0], "n0nce"))
