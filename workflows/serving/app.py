"""The public face of the service: the Open Inference Protocol over HTTP, as an ASGI application."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from models.pipeline import Pipeline
from workflows.inference import BadImages, NoPipeline, UnknownPipeline
from workflows.serving.protocol import HEADER_LENGTH, ProtocolError, build_response, model_metadata, parse_request
from workflows.serving.service import Service

SERVER = {"name": "scanflow-agents", "version": "2", "extensions": ["binary_tensor_data"]}
INLINE = 0.005  # seconds; see `_Door.answer`
JSON_BYTES_PER_VALUE = 26  # the longest float64 in JSON and a comma: bounds a body before it is read
_FREE_BODY = 1 << 16  # bytes that any request may have, for names and parameters
BODIES = 1 << 27  # bytes of all bodies in memory at a time: many large ones at once are put off, rather than end the server for want of memory

log = logging.getLogger(__name__)


def make_app(service: Service, model: str = "default", *, inline: float = INLINE, bodies: int = BODIES) -> Starlette:
    """The application that answers for `service` under the model name `model`. `inline`: see `_Door.answer`; `bodies`: see `BODIES`."""
    door = _Door(service, model, inline, bodies)
    routes = [
        Route("/v2/health/live", door.live),
        Route("/v2/health/ready", door.ready),
        Route("/v2", door.server),
        Route("/metrics", door.metrics),
    ]
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(prefix, door.metadata),
            Route(f"{prefix}/ready", door.model_ready),
            Route(f"{prefix}/infer", door.infer, methods=["POST"]),
        ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        ProtocolError: _refuse,
        HTTPException: _no_route,
        ClientDisconnect: _gone,
        Exception: _failed,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class _Door:
    """The handlers of one application."""

    def __init__(self, service: Service, model: str, inline: float, bodies: int) -> None:
        self.service, self.model, self.inline = service, model, inline
        self.room = bodies  # bytes
        self.worker = ThreadPoolExecutor(1, "infer")
        self.seconds_per_byte = 0.0  # of recent requests: what a request will cost, before it is parsed

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        ready = self.service.active() is not None
        return _json({"ready": ready}, 200 if ready else 503)

    async def server(self, _: Request) -> Response:
        return _json(SERVER)

    async def metadata(self, request: Request) -> Response:
        manifest = self._pipeline(request).manifest
        return _json(model_metadata(self.model, manifest.version, manifest.input, len(manifest.classes)))

    async def model_ready(self, request: Request) -> Response:
        self._pipeline(request)
        return _json({"name": self.model, "ready": True})

    async def infer(self, request: Request) -> Response:
        active = self._pipeline(request)
        if (coding := request.headers.get("content-encoding", "identity")) != "identity":
            raise ProtocolError(415, f"the body has content-encoding {coding!r}; expected it as it is (identity)")
        limit = _FREE_BODY + self.service.max_images * math.prod(active.manifest.input) * JSON_BYTES_PER_VALUE
        header = request.headers.get(HEADER_LENGTH)
        asked = request.path_params.get("version")
        try:
            async with self._received(request, limit) as body:
                answer, length = await self.answer(body, header, asked)
        except BadImages as error:
            raise ProtocolError(400, str(error)) from error
        except UnknownPipeline as error:
            raise ProtocolError(404, str(error)) from error
        except NoPipeline as error:
            raise ProtocolError(503, str(error)) from error
        if length is None:
            return Response(answer, media_type="application/json")
        return Response(answer, media_type="application/octet-stream", headers={HEADER_LENGTH: str(length)})

    @asynccontextmanager
    async def _received(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The whole body, refused as soon as it is known to exceed `limit` bytes, or the room that is left for all bodies."""
        parts, size = [], 0
        try:
            async for part in request.stream():
                size += len(part)
                self.room -= len(part)
                if size > limit:
                    raise ProtocolError(413, f"the body is larger than {limit} bytes; send fewer images at once")
                if self.room < 0:
                    raise ProtocolError(503, "too many large requests at once; send this one again, or fewer images at once")
                parts.append(part)
            if not size:
                raise ProtocolError(400, "the body is empty; expected a JSON object with a list inputs")
            yield b"".join(parts)
        finally:
            self.room += size

    async def answer(self, body: bytes, header: str | None, version: str | None) -> tuple[bytes, int | None]:
        """Answer in the event loop if that takes less than `inline` seconds, going by recent requests; else in the worker thread.

        A hop to a thread and back costs a small request more than it takes; a large one would keep health checks waiting.
        """
        loop = asyncio.get_running_loop()
        begin = loop.time()
        if self.seconds_per_byte * len(body) <= self.inline:
            result = self._answer(body, header, version)
        else:
            result = await loop.run_in_executor(self.worker, self._answer, body, header, version)
        self.seconds_per_byte += 0.1 * ((loop.time() - begin) / len(body) - self.seconds_per_byte)
        return result

    def _answer(self, body: bytes, header: str | None, version: str | None) -> tuple[bytes, int | None]:
        request = parse_request(body, header)
        return build_response(self.model, request, self.service.infer(request.images, version=version))

    def _pipeline(self, request: Request) -> Pipeline:
        """The active pipeline, if the request's path names it."""
        name, version = request.path_params["name"], request.path_params.get("version")
        if name != self.model:
            raise ProtocolError(404, f"there is no model {name!r}; expected {self.model!r}")
        active = self.service.active()
        if active is None:
            raise ProtocolError(503, f"the model {name!r} has no active pipeline yet; load one and activate it")
        if version is not None and version != active.version:
            raise ProtocolError(404, f"version {version!r} of {name!r} does not answer; the active one is {active.version!r}")
        return active

    async def metrics(self, _: Request) -> Response:
        """A handful of counts in Prometheus' text format, straight from `Service.stats`."""
        stats = self.service.stats()
        lines = [
            f"# TYPE scanflow_{name} {kind}\nscanflow_{name} {value}\n"
            for name, kind, value in (
                ("requests_total", "counter", stats.requests),
                ("requests_rejected_total", "counter", stats.rejected),
                ("images_total", "counter", stats.last),
                ("answering_seconds_total", "counter", stats.seconds),
                ("log_first_record", "gauge", stats.first),
                ("started_seconds", "gauge", stats.started),
            )
        ]
        lines.append(f'# TYPE scanflow_pipeline_info gauge\nscanflow_pipeline_info{{version="{stats.version or ""}"}} 1\n')
        return Response("".join(lines), media_type="text/plain; version=0.0.4")


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


async def _refuse(_: Request, error: ProtocolError) -> Response:
    return _json({"error": str(error)}, error.status)


async def _no_route(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        response = _json({"error": f"{request.method} is not possible here; expected {allowed}"}, 405)
        response.headers["Allow"] = allowed
        return response
    expected = "/v2, /v2/health/live, /v2/health/ready, /v2/models/NAME, /v2/models/NAME/ready or /v2/models/NAME/infer"
    return _json({"error": f"there is nothing at {request.url.path!r}; expected {expected}"}, error.status_code)


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _failed(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _json({"error": "the server could not answer this request; its own log says why"}, 500)
