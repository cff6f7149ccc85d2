"""Lists of numbers and people as they are kept: one number a line, a CSV, or a spreadsheet."""

from infobip_async.lists.list_row import ListNumber, ListRemark, ListRow
from infobip_async.lists.number_list import ListItem, NumberList, read_list
from infobip_async.lists.stop_list import read_exclusions
from infobip_async.lists.survey import Survey, survey

__all__ = [
    "ListItem",
    "ListNumber",
    "ListRemark",
    "ListRow",
    "NumberList",
    "Survey",
    "read_exclusions",
    "read_list",
    "survey",
]
