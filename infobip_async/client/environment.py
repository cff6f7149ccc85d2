"""The environment variables that `InfobipClient.from_env` reads."""

import os
from typing import Final

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.exchange import Endpoints

_LOGIN: Final = ("INFOBIP_USERNAME", "INFOBIP_PASSWORD")


def complete_options(options: dict[str, object]) -> None:
    """Check the login in the environment, and add options that the environment has.

    Args:
        options: the keyword arguments of `InfobipClient`; those that are given stay.

    Raises:
        LocalProtocolError: naming the variable that is not set, or whose value is no good.
    """
    for name in _LOGIN:
        fault = _fault_of_login(os.environ.get(name))
        if fault:
            raise LocalProtocolError(fault, field=name)
    if "endpoints" not in options and (base := os.environ.get("INFOBIP_BASE_URL")):
        try:
            options["endpoints"] = Endpoints.at(base)
        except LocalProtocolError as refusal:
            fault = refusal.args[0]
            raise LocalProtocolError(fault, field="INFOBIP_BASE_URL") from None
    trusted = os.environ.get("SSL_CERT_FILE")
    if trusted and not options.keys() & {"ca_file", "ssl_context", "http"}:
        options["ca_file"] = trusted


def _fault_of_login(value: str | None) -> str | None:
    if not value:
        return "not set in the environment"
    if value[-1] in "\r\n":
        return "ends with the end of a line: the file that it comes from may have Windows line ends"
    return None
