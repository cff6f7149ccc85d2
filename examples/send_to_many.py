"""Send different texts to many people at once, as fast as the gateway takes them."""

import asyncio

from infobip_async import InfobipClient, InfobipError, TextMessage

CUSTOMERS = {
    "38598514674": "Ana",
    "41793026727": "Beat",
    "49170111222": "Carla",
}


async def remind(client: InfobipClient, number: str, name: str) -> str:
    """Send one reminder; a failure of one does not concern the others."""
    try:
        receipt = await client.send(TextMessage(f"{name}, see you tomorrow!", "Dentist"), number)
    except InfobipError as error:
        return f"{number}: {type(error).__name__}: {error}"
    return f"{number}: accepted as {receipt.recipients[0].message_id}"


async def main() -> None:
    # However many are started, `concurrency` requests are under way at once.
    async with InfobipClient.from_env(concurrency=20) as client:
        async with asyncio.TaskGroup() as group:
            sends = [
                group.create_task(remind(client, number, name))
                for number, name in CUSTOMERS.items()
            ]
        for send in sends:
            print(send.result())

        # The same text to all of them takes one request.
        receipt = await client.send(TextMessage("We moved to 1 Main Street.", "Dentist"), CUSTOMERS)
        print(f"{receipt.accepted} of {len(receipt.recipients)} accepted")


if __name__ == "__main__":
    asyncio.run(main())
