"""Where accepted posts, and the intents of bulk sends, are kept until they are done with."""

from infobip_async.journal.base import Decode, Journal, StoredPush
from infobip_async.journal.settings import HandlerSettings
from infobip_async.journal.spool import SpoolJournal
from infobip_async.journal.sqlite import SqliteJournal
from infobip_async.journal.sqlite_tables import SetAside

__all__ = [
    "Decode",
    "HandlerSettings",
    "Journal",
    "SetAside",
    "SpoolJournal",
    "SqliteJournal",
    "StoredPush",
]
