"""Lists of numbers and people as they are kept: one number a line, or the rows of a CSV."""

from infobip_async.lists.number_list import ListItem, NumberList, read_list
from infobip_async.lists.parsing import ListRow

__all__ = ["ListItem", "ListRow", "NumberList", "read_list"]
