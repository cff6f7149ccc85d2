"""Collect delivery reports without a public URL."""

import asyncio
from contextlib import aclosing

from infobip_async import InfobipClient, TextMessage


async def main() -> None:
    async with InfobipClient.from_env() as client:
        receipt = await client.send(TextMessage("Hello", "Friend"), ["38598514674", "41793026727"])
        waiting = {recipient.message_id for recipient in receipt.recipients}

        # Reports are given once: what was pulled when this loop is left is kept for the next call.
        async with asyncio.timeout(600), aclosing(client.poll_reports(interval=5)) as reports:
            async for report in reports:
                print(f"{report.message_id}: {report.raw_status}")
                waiting.discard(report.message_id)
                if not waiting:
                    break


if __name__ == "__main__":
    asyncio.run(main())
