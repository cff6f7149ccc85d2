"""A shop that confirms each order by SMS, once, and knows whether the confirmation arrived.

It may crash anywhere: an order that is confirmed again after a restart has the same key.
"""

import asyncio
import os
from collections.abc import AsyncIterator

from aiohttp import web

from infobip_async import (
    AlreadySentError,
    Deliveries,
    Delivery,
    InfobipClient,
    LocalProtocolError,
    Router,
    SqliteDeliveryStore,
    TextMessage,
)
from infobip_async.webhook import webhook_app

router = Router()
DELIVERIES = web.AppKey("deliveries", Deliveries)


@router.on(Delivery)
async def confirmation_changed(delivery: Delivery) -> None:
    if delivery.is_final:
        arrived = {True: "arrived", False: "did not arrive", None: "is not known"}
        print(f"confirmation of {delivery.key}: {arrived[delivery.delivered]}")


async def confirm(request: web.Request) -> web.Response:
    order = await request.json()
    text = f"Thank you! Order {order['number']} is on its way."
    try:
        (delivery,) = await request.app[DELIVERIES].send(
            TextMessage(text, sender="Shop"), order["phone"], key=f"order-{order['number']}"
        )
    except AlreadySentError as known:
        delivery = known.delivery
    except LocalProtocolError as error:  # such as a number that is none; nothing was sent
        return web.json_response({"error": str(error)}, status=422)
    return web.json_response({"message_id": delivery.message_id})


async def status(request: web.Request) -> web.Response:
    key = f"order-{request.match_info['number']}"
    delivery = await request.app[DELIVERIES].get(key=key)
    if delivery is None:
        raise web.HTTPNotFound
    return web.json_response({"final": delivery.is_final, "delivered": delivery.delivered})


async def while_serving(app: web.Application) -> AsyncIterator[None]:
    store = SqliteDeliveryStore(os.environ.get("DELIVERIES", "deliveries.db"))
    async with (
        InfobipClient.from_env() as client,
        Deliveries(client, router, store=store) as deliveries,
    ):
        app[DELIVERIES] = deliveries
        yield


def make_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(while_serving)
    app.add_subapp("/infobip", webhook_app(router, secret=os.environ["INFOBIP_WEBHOOK_SECRET"]))
    app.router.add_post("/orders", confirm)
    app.router.add_get("/orders/{number}", status)
    return app


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    web.run_app(make_app())
