"""`/metrics` of the page's server, for Prometheus: read with a token of its own, which can do nothing else.

The token is kept in the state folder, unlike those of the page: who collects metrics must not be given a new one at each start.
"""

import os
import secrets
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from agents.outward.metrics import Metrics
from agents.web.access import LOOPBACK, Access, AccessError

TOKEN_FILE = "metrics_token"  # noqa: S105 - the name of a file


def metrics_token(folder: Path) -> str:
    """The token of a state folder, made when it is first asked for; readable by the folder's owner only."""
    file = folder / TOKEN_FILE
    try:
        if token := file.read_text(encoding="utf-8").strip():
            return token
        file.unlink()
    except FileNotFoundError:
        pass
    token = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(token)
    return token


def scraped(metrics: Metrics, token: str, *, open_here: bool = False) -> Callable[[Access], BaseRoute]:
    """The address `/metrics` of a page; `open_here` lets programs of this machine read without the token."""

    def route(access: Access) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            try:
                access.check_host(request.headers)
                here = request.client is not None and request.client.host in LOOPBACK
                _check(request, token, open_here=open_here and here)
            except AccessError as error:  # in plain words: it is a program that asks
                return PlainTextResponse(f"{error}\n", error.status, {"www-authenticate": "Bearer"} if error.status == 401 else {})
            text, kind = await run_in_threadpool(metrics.text, request.headers.get("accept", ""))
            return Response(text, headers={"content-type": kind, "cache-control": "no-store", "x-content-type-options": "nosniff"})

        return Route("/metrics", endpoint)

    return route


def _check(request: Request, token: str, *, open_here: bool) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else request.query_params.get("token", "")
    if not (open_here and not given) and not compare_digest(given.encode(), token.encode()):
        raise AccessError(
            f"Metrics are read with the token in the file {TOKEN_FILE} of the cluster's state folder: `Authorization: Bearer ...` or ?token=...", 401
        )
