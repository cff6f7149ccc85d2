"""The order service on FastAPI: ``uvicorn --app-dir examples order_service_fastapi:app``."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

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
from infobip_async.asgi import asgi_app

router = Router()
receiver = asgi_app(router, secret=os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string"))


@router.on(Delivery)
async def confirmation_changed(delivery: Delivery) -> None:
    if delivery.is_final:
        print(f"confirmation of {delivery.key}: delivered is {delivery.delivered}")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start from the inside out, so that a stop ends with what others stand on."""
    store = SqliteDeliveryStore(os.environ.get("DELIVERIES", "deliveries.db"))
    async with (
        InfobipClient.from_env() as client,
        Deliveries(client, router, store=store) as deliveries,
        receiver.serving(),
    ):
        app.state.deliveries = deliveries
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/infobip", receiver)


class Order(BaseModel):
    """What the shop's pages post."""

    number: int
    phone: str


@app.post("/orders")
async def confirm(order: Order) -> dict[str, str]:
    text = f"Thank you! Order {order.number} is on its way."
    try:
        (delivery,) = await app.state.deliveries.send(
            TextMessage(text, sender="Shop"), order.phone, key=f"order-{order.number}"
        )
    except AlreadySentError as known:
        delivery = known.delivery
    except LocalProtocolError as error:  # such as a number that is none; nothing was sent
        raise HTTPException(422, str(error)) from None
    return {"message_id": delivery.message_id}


@app.get("/orders/{number}")
async def status(number: int) -> dict[str, bool | None]:
    delivery = await app.state.deliveries.get(key=f"order-{number}")
    if delivery is None:
        raise HTTPException(404)
    return {"final": delivery.is_final, "delivered": delivery.delivered}
