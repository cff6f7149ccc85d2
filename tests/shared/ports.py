"""Ports that nobody else is given meanwhile."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that refuses connections, until a server of the test's own listens on it.

    On Linux, a port that is bound and does not listen is given to nobody who asks for any port;
    a server that names it can have it, with SO_REUSEADDR, which asyncio's servers set.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        if sys.platform != "linux":
            holder.close()
        yield port
