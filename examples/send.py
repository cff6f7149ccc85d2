"""Send one text, and find out what became of it."""

import asyncio

from infobip_async import (
    GatewayRefusedError,
    InfobipClient,
    NotSentError,
    OutcomeUnknownError,
    TextMessage,
    preview,
)


async def main() -> None:
    message = TextMessage("Your table is booked for 8 pm.", sender="Bistro")
    parts = preview(message)
    print(f"{parts.alphabet}, {len(parts.parts)} part(s), {parts.remaining} units left")

    # INFOBIP_USERNAME and INFOBIP_PASSWORD are taken from the environment.
    async with InfobipClient.from_env() as client:
        try:
            receipt = await client.send(message, "38598514674")
        except GatewayRefusedError as error:
            print(f"refused: {error.name}")
        except NotSentError:
            print("not sent: try again")
        except OutcomeUnknownError as error:
            print(f"perhaps sent: wait for the report on {error.message_ids}")
        else:
            print(f"accepted: {receipt.recipients[0].message_id}")


if __name__ == "__main__":
    asyncio.run(main())
