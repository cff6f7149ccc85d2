"""What a test needs of the system that it runs on, in one place.

A test, a class or a whole module (``pytestmark = needs_fork``) takes one of these marks; the
reason is printed at the end of the run.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

STRACE = shutil.which("strace")
OPENSSL = shutil.which("openssl")


@cache
def can_trace() -> bool:
    """Whether there is a strace that this process may use; containers often forbid it."""
    if STRACE is None:
        return False
    command = [STRACE, "-o", os.devnull, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own command


# Linux itself: what /proc tells, exact errors of sockets, and the like.
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

# Signals to other processes, SIGKILL among them; exit statuses of what a signal ended.
needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

# Windows tells of every file that all may read and write it.
needs_modes = pytest.mark.skipif(os.name != "posix", reason="needs modes of files")

needs_free_names = pytest.mark.skipif(
    os.name != "posix", reason="an open file cannot be moved or removed there"
)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")

needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="needs openssl, for a certificate")

# A string, so that strace is tried only if such a test is run; see conftest.py.
needs_strace = pytest.mark.skipif("not can_trace()", reason="needs a strace that may trace")
