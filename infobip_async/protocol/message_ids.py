"""Message ids that carry a tag, by which a receiver refuses forged delivery reports (§3.1).

Whoever knows the callback URL can push reports, and a message id can be guessed or overheard in
part. The tag is a keyed digest of the id in front of it. So a receiver that has the key need not
know which messages were sent::

    3f0a9c41d2e8b756-1f-k4xq2nmb7ztw5yhc
"""

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError

_TAG_OCTETS: Final = 10  # 80 bits, in 16 letters and digits
_LEAST_KEY_OCTETS: Final = 16
# Each part of a message that the library splits has a number behind the id of the message.
_TAGGED: Final = re.compile(r"(.+)-([a-z2-7]{16})(?:-[0-9]{1,3})?", re.DOTALL)


def _octets(key: str | bytes) -> bytes:
    octets = key.encode() if isinstance(key, str) else bytes(key)
    if len(octets) < _LEAST_KEY_OCTETS:
        # The text does not hold the key.
        raise LocalProtocolError(f"has {_LEAST_KEY_OCTETS} octets or more", field="id_key")
    return octets


@attrs.frozen
class IdKey:
    """A key for the tags of message ids.

    Raises:
        LocalProtocolError: it has less than 16 octets.
    """

    _key: bytes = attrs.field(converter=_octets, repr=False)

    def tag(self, message_id: str) -> str:
        """Append the tag to a message id; that makes it 17 characters longer."""
        return f"{message_id}-{self._digest(message_id)}"

    def fits(self, message_id: str) -> bool:
        """Whether a message id, or the id of a part of a message, carries the tag of this key."""
        match = _TAGGED.fullmatch(message_id)
        return match is not None and hmac.compare_digest(self._digest(match[1]), match[2])

    def _digest(self, message_id: str) -> str:
        octets = message_id.encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._key, octets, "sha256")[:_TAG_OCTETS]
        return b32encode(digest).decode().lower()


def id_keys(keys: str | bytes | Iterable[str | bytes] | None) -> tuple[IdKey, ...]:
    """Make keys of one, or of several while one replaces another; None makes none.

    Raises:
        LocalProtocolError: one is too short, or an iterable is empty.
    """
    if keys is None:
        return ()
    several = (keys,) if isinstance(keys, str | bytes) else tuple(keys)
    if not several:
        raise LocalProtocolError("has no key in it", field="id_key")
    return tuple(map(IdKey, several))


def tag_message_id(message_id: str, id_key: str | bytes) -> str:
    """Give a message id of your own choice the tag that a receiver with the key asks for.

    Args:
        message_id: up to 32 characters, since an id with its tag should stay below 50.
        id_key: as given to `InfobipClient` and `webhook_app`.

    Raises:
        LocalProtocolError: the key has less than 16 octets.
    """
    return IdKey(id_key).tag(message_id)
