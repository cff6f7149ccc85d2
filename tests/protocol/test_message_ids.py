"""Message ids with tags."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infobip_async.client.client import InfobipClient
from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import Recipient
from infobip_async.protocol.message_ids import IdKey, id_keys, tag_message_id

KEY = "a key of sixteen octets or more"
PASSWORD = "password"


def test_a_tag():
    """It is of letters and digits, and depends on the key and on every character of the id."""
    assert tag_message_id("id-1", KEY) == "id-1-bd3gs6e6wzq4a5yh"
    tags = {tag_message_id(one, KEY)[-16:] for one in ("id-1", "id-2", "Id-1", "")}
    assert len(tags) == 4
    assert tag_message_id("id-1", KEY.encode()) == tag_message_id("id-1", KEY)
    assert tag_message_id("id-1", KEY + "!") != tag_message_id("id-1", KEY)


@given(st.text(max_size=40), st.none() | st.integers(0, 999))
def test_what_fits(message_id, part):
    """An id with its tag, and the ids of the parts of such a message."""
    tagged = tag_message_id(message_id, KEY) + ("" if part is None else f"-{part}")
    if message_id:
        assert IdKey(KEY).fits(tagged)
    assert not IdKey(KEY + "!").fits(tagged)
    assert not IdKey(KEY).fits(message_id)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "id-1",
        "id-1-bd3gs6e6wzq4a5yi",
        "id-2-bd3gs6e6wzq4a5yh",
        "id-1-BD3GS6E6WZQ4A5YH",
        "id-1-bd3gs6e6wzq4a5yh-",
        "id-1-bd3gs6e6wzq4a5yh-1-1",
        "id-1-bd3gs6e6wzq4a5yh-1000",
        "id-1-bd3gs6e6wzq4a5yh-x",
        "id-1-bd3gs6e6wzq4a5y",
        "-bd3gs6e6wzq4a5yh",
        "id-1-bd3gs6e6wzq4a5yh\n",
        "\ud800-bd3gs6e6wzq4a5yh",
    ],
)
def test_what_does_not_fit(forged):
    """Anything else."""
    assert not IdKey(KEY).fits(forged)


def test_keys():
    """One, several, or none; a short one is refused, and none is shown."""
    assert id_keys(None) == ()
    assert id_keys(KEY) == id_keys([KEY]) == (IdKey(KEY.encode()),)
    assert KEY not in repr(id_keys([KEY, b"x" * 16]))
    for bad in ("short of sixteen", b"x" * 16):
        IdKey(bad)
    for bad in ("short of it", b"x" * 15, "", []):
        fault = "has 16 octets or more" if isinstance(bad, str | bytes) else "has no key in it"
        with pytest.raises(LocalProtocolError, match=f"id_key: {fault}") as error:
            id_keys(bad)
        assert "short of it" not in str(error.value)
        assert error.value.field == "id_key"


async def test_ids_of_a_client():
    """Generated ones carry a tag and stay below 50 characters, those of parts included."""
    async with InfobipClient("user", PASSWORD, id_key=KEY) as client:
        made = client.make_message_id()
        assert re.fullmatch("[A-Za-z0-9-]{20,45}", made)
        assert IdKey(KEY).fits(made)
        assert made != client.make_message_id()
    async with InfobipClient("user", PASSWORD) as client:
        assert not IdKey(KEY).fits(client.make_message_id())


async def test_ids_of_the_caller():
    """With a key they need its tag, or their reports would be taken for forged ones."""
    async with InfobipClient("user", PASSWORD, id_key=KEY) as client:
        compose = client._composer.addressed
        good = Recipient("38598514674", tag_message_id("order-17", KEY))
        assert compose([good], registered=True) == (good,)
        with pytest.raises(LocalProtocolError, match="message_id: has no tag"):
            compose([good, Recipient("38598514675", "order-17")], registered=True)
        assert compose("38598514674", registered=False) == (Recipient("38598514674"),)


def test_a_key_of_a_client_that_is_too_short():
    """It is refused, and not shown; nor is the password."""
    with pytest.raises(LocalProtocolError, match="id_key") as error:
        InfobipClient("user", PASSWORD, id_key="short of it")
    assert "short of it" not in str(error.value)
