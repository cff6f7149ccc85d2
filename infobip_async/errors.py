"""What can go wrong, as one tree.

InfobipError
├── GatewayRefusedError          the gateway said no; .code .name .operation
│   ├── AuthenticationError      wrong or missing username or password
│   ├── NotEnoughCreditsError    the account cannot pay for the request
│   ├── NetworkNotCoveredError   no route to the recipient's network
│   ├── InvalidDestinationError  a recipient or looked-up number is no good
│   ├── InvalidRequestError      the gateway could not read the request
│   └── GatewayFailureError      a general failure, or a code that the document does not list
├── GatewayUnreachableError
│   ├── NotSentError             no byte left this machine: safe to repeat
│   └── OutcomeUnknownError      it may have been carried out; .message_ids
├── ProtocolError                never raised itself
│   ├── LocalProtocolError       the caller broke a rule of the document (also a ValueError)
│   └── RemoteProtocolError      the peer sent something unreadable; .raw
├── LookupTimeoutError           also a TimeoutError
├── DeliveryTimeoutError         also a TimeoutError; .delivery
├── AlreadySentError             the key is known; .delivery
├── RunStoppedError              a run could not go on; why is its cause
└── StorageUnavailableError      a journal, job or store cannot be used; nothing was kept

No text of these errors holds a password, a webhook secret, or what a person could be known by: a
number, a sender, a key, a text. Such a value is in an attribute of the error.
"""

from typing import Any, Self


class InfobipError(Exception):
    """The base of every error that this package raises on purpose."""


class GatewayRefusedError(InfobipError):
    """The gateway answered no: nothing was carried out.

    Attributes:
        code: the return code as the wire format has it, such as ``-3`` (§2/1.3), ``10`` (§3.2) or
            ``"FAILED"`` (§4). The same number means different things in different formats.
        name: the document's name for the code, or ``"UNKNOWN"`` where it lists none.
        operation: what was asked, such as ``"send"`` or ``"submit_hlr"``.
    """

    def __init__(
        self, message: str, *, code: int | str = "", name: str = "UNKNOWN", operation: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.operation = operation


class AuthenticationError(GatewayRefusedError):
    """The username or the password is wrong or missing."""


class NotEnoughCreditsError(GatewayRefusedError):
    """The account has not enough credits for the request."""


class NetworkNotCoveredError(GatewayRefusedError):
    """The gateway has no route to the network of the recipient."""


class InvalidDestinationError(GatewayRefusedError):
    """No recipient of a send is a good destination, or the number of a lookup is none.

    Attributes:
        destination: the number of the lookup; empty for a send.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | str = "",
        name: str = "UNKNOWN",
        operation: str = "",
        destination: str = "",
    ) -> None:
        super().__init__(message, code=code, name=name, operation=operation)
        self.destination = destination


class InvalidRequestError(GatewayRefusedError):
    """The gateway could not read the request, or a part of it is missing."""


class GatewayFailureError(GatewayRefusedError):
    """A general error of the gateway, or a code that the document does not list."""


class GatewayUnreachableError(InfobipError):
    """No answer came. The two subclasses say whether the request may have been carried out."""


class NotSentError(GatewayUnreachableError):
    """No byte of the request left this machine: it is safe to repeat it.

    Attributes:
        final: retrying cannot succeed: the client is closed, or its proxy refuses the login.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class OutcomeUnknownError(GatewayUnreachableError):
    """The request may have been carried out; repeating it may carry it out twice.

    Attributes:
        message_ids: the client's message ids of the request. Delivery reports on them can settle
            the question later (§3). Empty where the request carried none.
    """

    def __init__(self, message: str, *, message_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message_ids = message_ids


class ProtocolError(InfobipError):
    """A rule of the document was broken. Never raised itself: see the two subclasses."""

    def __new__(cls, *args: object, **kwargs: object) -> Self:  # noqa: D102 - like every error's
        if cls is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        return super().__new__(cls, *args, **kwargs)


class LocalProtocolError(ProtocolError, ValueError):
    """The caller broke a rule of the document; nothing was sent.

    Attributes:
        field: the argument or attribute at fault, such as ``"sender"``.
        section: the section of the document that holds the rule, such as ``"2/1.2"``.
        value: what breaks the rule, such as a number. No text of the error has it, so that a
            program can log its errors. None where nothing single is at fault.
    """

    def __init__(
        self, message: str, *, field: str = "", section: str = "", value: object = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.section = section
        self.value = value

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        rule = f" (§{self.section})" if self.section else ""
        return f"{where}{self.args[0]}{rule}"


class RemoteProtocolError(ProtocolError):
    """The peer sent something that cannot be read as the document says.

    Attributes:
        raw: the bytes at fault, as received.
        status: the HTTP status, where the reply is unreadable because it is not 2xx.
    """

    def __init__(self, message: str, *, raw: bytes = b"", status: int | None = None) -> None:
        super().__init__(message)
        self.raw = raw
        self.status = status


class LookupTimeoutError(InfobipError, TimeoutError):
    """The query was accepted, but its report did not arrive in time. It may still come.

    Attributes:
        lookup_id: the gateway's id of the lookup; a late report has the same.
        destination: the number that was looked up.
    """

    def __init__(
        self, message: str, *, lookup_id: str | None = None, destination: str = ""
    ) -> None:
        super().__init__(message)
        self.lookup_id = lookup_id
        self.destination = destination


class DeliveryTimeoutError(InfobipError, TimeoutError):
    """A message has no final report yet. The report may still come.

    Attributes:
        delivery: the `Delivery` as far as it is known.
    """

    def __init__(self, message: str, *, delivery: object = None) -> None:
        super().__init__(message)
        self.delivery: Any = delivery


class AlreadySentError(InfobipError):
    """The key, or the message id, belongs to a message that was sent or may have been sent.

    Attributes:
        delivery: the `Delivery` that has the key.
    """

    def __init__(self, message: str, *, delivery: object = None) -> None:
        super().__init__(message)
        self.delivery: Any = delivery


class RunStoppedError(InfobipError):
    """A run over many messages or numbers could not go on; its ``__cause__`` says why.

    The cause is the gateway's refusal, or the error that came instead of an answer. It is raised
    after every item that the run had read got its outcome.
    """


class StorageUnavailableError(InfobipError):
    """A journal, a job or a delivery store cannot be used now; what was to be stored is not.

    The disk is full, another process holds the file, or the broker is away. The fault may pass.
    """
