"""The description of the API in OpenAPI's terms, made from its routes."""

from collections.abc import Sequence

from infobip_async.simulator.console.fields import Field, Json
from infobip_async.simulator.console.routes import Route


def description(routes: Sequence[Route], prefix: str) -> Json:
    """Describe the API (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Json]] = {}
    for route in routes:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route)
    paths[f"{prefix}events"] = {"get": _EVENTS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The simulator's console",
            "version": "1",
            "description": (
                "What was sent to the simulator, what came back, and what is to happen. Other "
                "machines need the token, as `token=` in the query or `Authorization: Bearer`."
            ),
        },
        "paths": paths,
    }


_EVENTS: Json = {
    "summary": "Tell of every change, as server-sent events; each names the revision.",
    "responses": {"200": {"description": "the stream", "content": {"text/event-stream": {}}}},
}


def _operation(route: Route) -> Json:
    operation: dict[str, Json] = {
        "operationId": route.handler.__name__,
        "summary": (route.handler.__doc__ or "").partition("\n")[0],
        "responses": {
            "200": {"description": "done", "content": {"application/json": {}}},
            "default": {"description": "`error` says why not", "content": {"application/json": {}}},
        },
    }
    parameters = [_parameter(field, "query") for field in route.fields if route.method == "GET"]
    if "{id}" in route.path:
        parameters.append(_parameter(Field("id", "a number or an id", required=True), "path"))
    if parameters:
        operation["parameters"] = parameters
    if route.fields and route.method != "GET":
        operation["requestBody"] = {"content": {"application/json": {"schema": _body(route)}}}
    return operation


def _parameter(field: Field, place: str) -> Json:
    return {"name": field.name, "in": place, "required": field.required, "schema": field.schema()}


def _body(route: Route) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: field.schema() for field in route.fields},
        "required": [field.name for field in route.fields if field.required],
    }
