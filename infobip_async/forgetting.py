"""A person's data out of the files of this package, whatever a file holds."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from infobip_async.bulk.job import SendJob
from infobip_async.concurrency.sqlite_file import FileKind, kind_of
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.job import HlrJobFile
from infobip_async.journal import forgetting as journal
from infobip_async.numbering.mentions import mentions
from infobip_async.numbering.national import normalise

_FORGET: Final[Mapping[FileKind, Callable[[Path, re.Pattern[str]], Awaitable[int]]]] = {
    FileKind.JOURNAL: journal.forget,
    FileKind.LOOKUP_JOB: HlrJobFile.forget_number,
    FileKind.SEND_JOB: SendJob.forget_number,
}


async def forget(msisdn: str, path: str | Path) -> int:
    """Forget a number in a journal or in a job.

    The file is written anew, so that the digits are nowhere in it. Receivers may serve a journal
    meanwhile; a job must not be in use. Digests stay: nobody can tell what they are of.

    Args:
        msisdn: the number, in any form that `numbering.normalise` reads.
        path: the file.

    Returns:
        How many events, items or numbers there were.

    Raises:
        LocalProtocolError: it is no number, or the file is none of this package.
        StorageUnavailableError: the file cannot be rewritten now, and may hold the digits.
    """
    number, file = mentions(normalise(msisdn)), Path(path)
    kind = await asyncio.to_thread(kind_of, file)
    if kind is None:
        raise LocalProtocolError(f"{file} is no file of infobip-async", field="path")
    return await _FORGET[kind](file, number)
