"""The order service on Django: ``uvicorn --app-dir examples order_service_django:app``.

Django runs its views, and knows nothing of starts and stops. So the application that the server
runs is a small one: it starts the client, sends the receiver's paths to the receiver, and all
others to Django.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from infobip_async import (
    AlreadySentError,
    Deliveries,
    InfobipClient,
    LocalProtocolError,
    Router,
    SqliteDeliveryStore,
    TextMessage,
)
from infobip_async.asgi import asgi_app

Scope = MutableMapping[str, Any]

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "not-for-production"),
)
django.setup()

router = Router()
receiver = asgi_app(router, secret=os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string"))
running: dict[str, Deliveries] = {}


@csrf_exempt
async def confirm(request: HttpRequest) -> JsonResponse:
    order = json.loads(request.body)
    text = f"Thank you! Order {order['number']} is on its way."
    try:
        (delivery,) = await running["deliveries"].send(
            TextMessage(text, sender="Shop"), order["phone"], key=f"order-{order['number']}"
        )
    except AlreadySentError as known:
        delivery = known.delivery
    except LocalProtocolError as error:  # such as a number that is none; nothing was sent
        return JsonResponse({"error": str(error)}, status=422)
    return JsonResponse({"message_id": delivery.message_id})


async def status(_: HttpRequest, number: int) -> JsonResponse:
    delivery = await running["deliveries"].get(key=f"order-{number}")
    if delivery is None:
        return JsonResponse({"error": "no such order"}, status=404)
    return JsonResponse({"final": delivery.is_final, "delivered": delivery.delivered})


urlpatterns = [path("orders", confirm), path("orders/<int:number>", status)]
views = get_asgi_application()


async def app(
    scope: Scope,
    receive: Callable[[], Awaitable[Scope]],
    send: Callable[[Scope], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        await serve(receive, send)
    elif scope["path"].startswith("/infobip/"):
        await receiver(
            {**scope, "root_path": scope.get("root_path", "") + "/infobip"}, receive, send
        )
    else:
        await views(scope, receive, send)


async def serve(
    receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
) -> None:
    """Start from the inside out, so that a stop ends with what others stand on."""
    await receive()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(InfobipClient.from_env())
        store = SqliteDeliveryStore(os.environ.get("DELIVERIES", "deliveries.db"))
        deliveries = Deliveries(client, router, store=store)
        running["deliveries"] = await stack.enter_async_context(deliveries)
        await stack.enter_async_context(receiver.serving())
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
