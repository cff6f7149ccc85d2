"""Stores accepted pushes on disk until they are handled, in one process or as a spool."""

from infobip_async.journal.base import Decode, Journal, JournalCounts, SetAside, StoredPush
from infobip_async.journal.salvage import Salvaged, salvage
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.spool import SpoolJournal
from infobip_async.journal.sqlite import SqliteJournal

__all__ = [
    "Decode",
    "HandlerSettings",
    "Journal",
    "JournalCounts",
    "Salvaged",
    "SetAside",
    "SpoolJournal",
    "SqliteJournal",
    "StoredPush",
    "salvage",
]
