"""How much a proof does: as much as every change can wait for, or many times that.

``INFOBIP_TEST_SCALE=10`` in the environment kills ten times as often, sends ten times as much, and
so takes ten times as long.
"""

import os

SCALE = float(os.environ.get("INFOBIP_TEST_SCALE", "1"))


def scaled(number: int) -> int:
    """So many kills, rows or inputs at scale 1."""
    return round(number * SCALE)
