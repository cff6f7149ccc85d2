"""Where accepted posts, and the intents of bulk sends, are kept until they are done with."""

from infobip_async.journal.handling import Handling
from infobip_async.journal.seam import Decode, Journal, KeptPost
from infobip_async.journal.spool import SpoolJournal
from infobip_async.journal.sqlite import SqliteJournal
from infobip_async.journal.tables import SetAside

__all__ = ["Decode", "Handling", "Journal", "KeptPost", "SetAside", "SpoolJournal", "SqliteJournal"]
