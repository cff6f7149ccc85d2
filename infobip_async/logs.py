"""Log records that any stream can take."""

import logging


class _Printable(logging.Filter):
    r"""Escapes lone surrogates in tracebacks, as ``\ud83d``.

    UTF-8 cannot express half of a character. A handler may raise it with the text of a message,
    and a file of a log would then refuse the whole record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            printable = trace.encode(errors="backslashreplace").decode()
            if printable != trace:
                record.exc_text = printable  # which formatters use in place of their own
        return True


_PRINTABLE = _Printable()


def logger_of_faults(name: str) -> logging.Logger:
    """The logger of a name, for records with exceptions that users' own code raised."""
    logger = logging.getLogger(name)
    logger.addFilter(_PRINTABLE)  # changes nothing where it is there
    return logger
