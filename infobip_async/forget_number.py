"""A person's data out of the files of this package, whatever a file holds."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from infobip_async.bulk.job import SendJob
from infobip_async.concurrency.sqlite_erasure import erase
from infobip_async.concurrency.sqlite_file import FileKind, SqliteFile, kind_of
from infobip_async.deliveries.sqlite import SqliteDeliveryStore
from infobip_async.deliveries.store import DeliveryQuery
from infobip_async.errors import LocalProtocolError
from infobip_async.hlr.job import HlrJobFile
from infobip_async.journal import forget_number as journal
from infobip_async.numbering.mentions import mentions
from infobip_async.numbering.normalising import normalise

_FORGET: Final[Mapping[FileKind, Callable[[Path, re.Pattern[str]], Awaitable[int]]]] = {
    FileKind.JOURNAL: journal.forget,
    FileKind.LOOKUP_JOB: HlrJobFile.forget_number,
    FileKind.SEND_JOB: SendJob.forget_number,
}


async def _forget_deliveries(path: Path, msisdn: str) -> int:
    async with SqliteDeliveryStore(path) as store:
        count = await store.delete(DeliveryQuery(msisdn=msisdn))
    file = SqliteFile(path, FileKind.DELIVERIES, "", shared=True)
    return count + await asyncio.to_thread(erase, file, lambda _: 0)


async def forget(msisdn: str, path: str | Path) -> int:
    """Forget a number in a journal, in a job, or in a store of deliveries.

    The file is written anew, so that the digits are nowhere in it. Receivers may use a journal
    or a store meanwhile; a job must not be in use. Digests of rows and items stay.

    Args:
        msisdn: the number, in any form that `numbering.normalise` reads.
        path: the file.

    Returns:
        How many events, items or numbers there were.

    Raises:
        LocalProtocolError: it is no number, or the file is none of this package.
        StorageUnavailableError: the file cannot be rewritten now, and may hold the digits.
    """
    number, file = normalise(msisdn), Path(path)
    kind = await asyncio.to_thread(kind_of, file)
    if kind is None:
        raise LocalProtocolError(f"{file} is no file of infobip-async", field="path")
    if kind is FileKind.DELIVERIES:
        return await _forget_deliveries(file, number)
    return await _FORGET[kind](file, mentions(number))
