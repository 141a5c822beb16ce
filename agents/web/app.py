"""The page's addresses: who asks, may they, and which view answers. Each handler is a plain function run in a thread of its own.

    /  overview        /questions  all that is open      /question/NAME  label or decide      /incidents, /incident/NAME  the story
    /map  latents in a plane      /agents, /graph  the team
    /live  events      /image/SEQ?question=NAME          POST /press, /decide, /undo          /enter?token=...  the way in
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from agents.board import QuestionView
from agents.reception import Images, Reception, ReceptionError
from agents.web.access import Access, AccessError, Session
from agents.web.beside import Beside
from agents.web.grid import cells, hand_in, told
from agents.web.live import Live
from agents.web.map import MapPages, numbers
from agents.web.png import png
from agents.web.seats import Seat, Seats
from agents.web.team import TeamPages
from agents.web.timeline import as_json
from agents.web.views import SIDE, THUMB, Views, plain

FORM_BYTES = 64_000
ALBUMS = 32  # questions whose images are kept at hand
SAFE = {
    # Everything comes from the package; nothing is asked of any other host, and no other site may put this page into a frame.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # not "no-referrer": a form would then be sent with the origin "null"
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
PRIVATE = "private, max-age=3600"
FOREVER = "public, max-age=31536000, immutable"


@dataclass
class Visit:
    """One request of somebody who is known."""

    request: Request
    session: Session
    form: dict[str, str] = field(default_factory=dict)

    @property
    def by_script(self) -> bool:
        """Whether htmx asks for a part of a page; without scripts a whole one is wanted."""
        return "hx-request" in self.request.headers

    @property
    def at(self) -> str:
        """What leads the addresses of this deployment's pages; empty where it is the only one."""
        return str(self.request.scope.get("root_path", ""))

    @property
    def name(self) -> str:
        """What the address names."""
        return str(self.request.path_params["name"])


class Site:
    """Handlers and what they share. `app` is the ASGI application; `at` is where it is mounted, if it is (`agents.web.several`)."""

    def __init__(self, reception: Reception, access: Access, at: str = "") -> None:
        self.reception, self.access = reception, access
        self.beside = Beside()
        self.views, self.seats = Views(reception, self.beside, at), Seats(reception)
        self.live = Live(reception.board, self.views.frames, beat=self.seats.sweep)
        self.map, self.team = MapPages(self.views), TeamPages()
        self._albums: dict[str, Images] = {}
        known, post = self._known, ["POST"]
        self.app = Starlette(
            routes=[
                Route("/", known(self._overview)), Route("/questions", known(self._questions)), Route("/incidents", known(self._incidents)),
                Route("/question/{name:path}", known(self._question)), Route("/seat/{name:path}", known(self._seat)),
                Route("/image/{seq:int}", known(self._image)), Route("/press", known(self._press), methods=post),
                Route("/decide", known(self._decide), methods=post), Route("/undo", known(self._undo), methods=post),
                Route("/leave", known(self._leave), methods=post), Route("/incident/{name}", known(self._incident)),
                Route("/incident/{name}/report.html", known(self._report)), Route("/incident/{name}/story.json", known(self._json)),
                Route("/incident/{name}/image/{seq:int}", known(self._kept_image)), Route("/status.json", known(self._status)),
                Route("/incident/{name}/filtered/{seq:int}", known(self._filtered_image)), Route("/clean/{row:int}", known(self._clean_image)),
                Route("/grid/{name:path}", known(self._grid)), Route("/grid", known(self._grid_answers), methods=post),
                Route("/map", known(self._map)), Route("/map.json", known(self._map_points)), Route("/map/image/{seq:int}", known(self._map_image)),
                Route("/map/look", known(self._map_look)), Route("/map/first", known(self._map_first), methods=post),
                Route("/agents", known(self._agents)), Route("/graph", known(self._graph)),
                Route("/live", self._stream), Route("/enter", self._enter, methods=["GET", "POST"]), Route("/static/{name}", self._asset),
            ],
            exception_handlers={HTTPException: self._missing, AccessError: self._refused, ReceptionError: self._refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.live.start()
        yield
        self.live.close()

    def _known(self, handler: Callable[[Visit], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Let in who has a session; a form must be that session's own besides."""

        async def endpoint(request: Request) -> Response:
            self.access.check_host(request.headers)
            visit = Visit(request, self.access.session(request.cookies))
            if request.method == "POST":
                visit.form = await _form(request)
                self.access.check_form(visit.session, request.headers, visit.form)
            response = await run_in_threadpool(handler, visit)
            return _safe(response)

        return endpoint

    # --- the way in and out ---

    async def _enter(self, request: Request) -> Response:
        self.access.check_host(request.headers)
        if request.method == "GET":
            token = request.query_params.get("token", "")
            role = self.access.role_of(token)
            return _safe(HTMLResponse(self.views.page("enter.html", None, token=token, role=role)))
        self.access.check_origin(request.headers)
        form = await _form(request)
        session = self.access.enter(form.get("token", ""), form.get("name", ""))
        # Not at once by GET: a link opened from a terminal counts as coming from elsewhere, and a strict cookie would not be sent on.
        response = _safe(RedirectResponse("/", 303))
        response.set_cookie(self.access.cookie, session.key, httponly=True, samesite="strict", path="/")
        return response

    def _leave(self, visit: Visit) -> Response:
        self.access.leave(visit.session)
        response = self._message("You have left", "To come back, open the link that the cluster printed when it started.", 200)
        response.delete_cookie(self.access.cookie, path="/")
        return response

    # --- overview ---

    def _overview(self, visit: Visit) -> Response:
        watch = self._watch_link(visit)
        return self._page("overview.html", visit, **self.views.now(), watch_link=watch)

    def _watch_link(self, visit: Visit) -> str:
        address = visit.request.url
        return f"{address.scheme}://{address.netloc}/enter?token={self.access.watch_token}"

    def _status(self, visit: Visit) -> Response:
        return _json(plain(self.reception_of(visit).board.status()))

    async def _stream(self, request: Request) -> Response:
        self.access.check_host(request.headers)
        self.access.session(request.cookies)
        topics = frozenset(request.query_params.get("topics", "now,bar").split(","))
        return _safe(StreamingResponse(self.live.stream(topics), media_type="text/event-stream"))

    async def _asset(self, request: Request) -> Response:
        asset = self.views.assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return _safe(Response(asset.body, media_type=asset.kind, headers={"cache-control": FOREVER}))

    # --- questions ---

    def _questions(self, visit: Visit) -> Response:
        return self._page("questions.html", visit, questions=self.reception_of(visit).board.questions())

    def _question(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.name)
        if view.kind == "choice":
            return self._page("decision.html", visit, **self.views.decision(view, self.reception_of(visit).messages(view.incident)))
        seat = self.seats.seat(visit.session.key, visit.session.name, view)
        seat.look()
        response = self._page("label.html", visit, **self.views.seat(seat, visit.session, self._album(visit, view)))
        return self._with_next(response, visit, view, seat)

    def _seat(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.name)
        seat = self.seats.seat(visit.session.key, visit.session.name, view)
        seat.look()
        return self._seated(visit, view, seat)

    def _press(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.form.get("question", ""))
        seat = self.seats.seat(visit.session.key, visit.session.name, view)
        item = visit.form.get("item", "")
        seat.press(visit.form.get("key", ""), int(item) if item.isdigit() else None)
        if seat.session.state == "left":
            return _go("/", visit)
        if not visit.by_script:
            return _go(_address(view), visit)
        return self._seated(visit, view, seat)

    def _seated(self, visit: Visit, view: QuestionView, seat: Seat) -> Response:
        shown = self.views.part("seat.html", **self.views.seat(seat, visit.session, self._album(visit, view)))
        return self._with_next(HTMLResponse(shown), visit, view, seat)

    def _with_next(self, response: Response, visit: Visit, view: QuestionView, seat: Seat) -> Response:
        """Once a response has gone out, what stands beside the next images is worked out."""
        missing = [seq for seq in view.items if seq not in view.answers and seq != seat.session.item]
        response.background = BackgroundTask(self.beside.ahead, self.reception_of(visit), view.incident, missing[:2], self._album(visit, view))
        return response

    def _grid(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.name)
        if view.kind == "choice":
            return _go(_address(view), visit)
        album, seat = self._album(visit, view), self.seats.seat(visit.session.key, visit.session.name, view)
        closed = self.reception_of(visit).board.closed(view.question)
        return self._page("grid.html", visit, closed=closed, **cells(view, seat.unheld, album))

    def _grid_answers(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.form.get("question", ""))
        seat = self.seats.seat(visit.session.key, visit.session.name, view)
        order = seat.unheld
        seat.release()  # what is held in the view of one image was meant, and came before
        visit.session.notice = told(hand_in(self.reception_of(visit), view, order, visit.session.name, visit.form))
        return _go(f"/grid/{quote(view.question)}", visit)

    def _decide(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.form.get("question", ""))
        option, reason = visit.form.get("option", ""), " ".join(visit.form.get("reason", "").split())
        refused = self.reception_of(visit).answer(view.question, option, visit.session.name, source="web", reason=reason[:500])
        visit.session.notice = f"Not taken: {refused}." if refused else f"Your answer was taken: {option}."
        return _go(_address(view), visit)

    def _undo(self, visit: Visit) -> Response:
        refused = self.reception_of(visit).undo(visit.session.name, source="web")
        visit.session.notice = f"Not undone: {refused}." if refused else "The pipeline before comes back; this page shows when it is live."
        return _go("/", visit)

    def _image(self, visit: Visit) -> Response:
        view = self._asked(visit, visit.request.query_params.get("question", ""))
        image = self._album(visit, view).get(visit.request.path_params["seq"])
        return _picture(None if image is None or image.ndim == 1 else png(image, SIDE))

    # --- incidents ---

    def _incidents(self, visit: Visit) -> Response:
        return self._page("incidents.html", visit, incidents=self.reception_of(visit).board.status().incidents[::-1])

    def _incident(self, visit: Visit) -> Response:
        return self._page("incident.html", visit, **self.views.incident(visit.name, self.reception_of(visit).messages(visit.name)))

    def _report(self, visit: Visit) -> Response:
        report = self.views.report(visit.name, self.reception_of(visit).messages(visit.name))
        # It brings its own style and images; what it may load from elsewhere is nothing at all.
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return HTMLResponse(report, headers={"content-security-policy": policy} | _attached(f"{visit.name}.html"))

    def _json(self, visit: Visit) -> Response:
        body = as_json(self.reception_of(visit).messages(visit.name))
        return Response(body, media_type="application/json", headers=_attached(f"{visit.name}.json"))

    def _kept_image(self, visit: Visit) -> Response:
        seq = visit.request.path_params["seq"]
        image = self.reception_of(visit).kept(visit.name, [seq]).get(seq) if self.reception_of(visit).knows(visit.name) else None
        return _picture(None if image is None or image.ndim == 1 else png(image, THUMB))

    def _filtered_image(self, visit: Visit) -> Response:
        by, seq = visit.request.query_params.get("by", ""), visit.request.path_params["seq"]
        around = self.beside.of(self.reception_of(visit), visit.name, seq) if self.reception_of(visit).board.incident(visit.name) else None
        image = next((one.image for one in around.filtered if one.pipeline == by), None) if around else None
        return _picture(None if image is None else png(image, THUMB))

    def _clean_image(self, visit: Visit) -> Response:
        gallery, row = self.reception_of(visit).gallery, visit.request.path_params["row"]
        image = gallery.clean(visit.request.query_params.get("of", ""), row) if gallery else None
        return _picture(None if image is None else png(image, THUMB))

    # --- the map ---

    def _map(self, visit: Visit) -> Response:
        return self._page("map.html", visit, **self.map.page(self.reception_of(visit)))

    def _map_points(self, visit: Visit) -> Response:
        return self.map.points(self.reception_of(visit), visit.request.query_params.get("layout", ""))

    def _map_image(self, visit: Visit) -> Response:
        return _picture(self.map.image(self.reception_of(visit), visit.request.path_params["seq"]))

    def _map_look(self, visit: Visit) -> Response:
        seqs, session = numbers(visit.request.query_params.get("seqs", "")), visit.session
        return self.map.look(self.reception_of(visit), seqs, session.secret, may_answer=session.may_answer)

    def _map_first(self, visit: Visit) -> Response:
        view, session = self._asked(visit, visit.form.get("question", "")), visit.session
        self.seats.seat(session.key, session.name, view).prefer(numbers(visit.form.get("seqs", "")))
        return _go(_address(view), visit)

    # --- the team ---

    def _agents(self, visit: Visit) -> Response:
        return self._page("agents.html", visit, **self.team.agents(self.reception_of(visit)))

    def _graph(self, visit: Visit) -> Response:
        everything = "all" in visit.request.query_params
        return self._page("graph.html", visit, **self.team.graph(self.reception_of(visit), everything=everything))

    # --- what several of them need ---

    def reception_of(self, _visit: Visit) -> Reception:
        """Whose pages these are: every handler asks here."""
        return self.reception

    def _asked(self, visit: Visit, name: str) -> QuestionView:
        view = self.reception_of(visit).board.question(name)
        if view is None:
            raise ReceptionError(f"there is no question {name!r}; the open ones are under Questions")
        return view

    def _album(self, visit: Visit, view: QuestionView) -> Images:
        """A question's images, read once: evidence is kept in files that hold whole windows."""
        album = self._albums.get(view.question)
        if album is None or any(seq not in album for seq in view.items):
            album = self._albums[view.question] = self.reception_of(visit).kept(view.incident, view.items)
            while len(self._albums) > ALBUMS:
                self._albums.pop(next(iter(self._albums)), None)
        return album

    def _page(self, template: str, visit: Visit, **fields: object) -> Response:
        notice = ""
        if not visit.by_script:  # a script takes only a part of the page, and the notice would be lost
            notice, visit.session.notice = visit.session.notice, ""
        return HTMLResponse(self.views.page(template, visit.session, notice, **fields))

    def _message(self, title: str, text: str, status: int) -> Response:
        return _safe(HTMLResponse(self.views.page("message.html", None, title=title, text=text), status))

    async def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, AccessError) else 404
        title = {401: "A key is needed", 404: "Not found"}.get(status, "Not done")
        response = self._message(title, str(error), status)
        if status == 401 and "hx-request" in request.headers:
            response.headers["hx-refresh"] = "true"  # a part of a page would otherwise hold this whole one
        return response

    async def _missing(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._message("Not found" if status == 404 else "Not done", f"There is nothing here (HTTP {status}).", status)


async def _form(request: Request) -> dict[str, str]:
    """Fields of an urlencoded form. Raises `AccessError` when it is larger than any of ours."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                raise AccessError(f"This form holds more than {FORM_BYTES} bytes; none of this page's does.", 413)
    except ClientDisconnect:
        raise AccessError("The form did not arrive whole.", 400) from None
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _safe(response: Response) -> Response:
    for name, value in SAFE.items():
        response.headers.setdefault(name, value)
    return response


def _go(address: str, visit: Visit) -> Response:
    address = visit.at + address
    return Response(status_code=204, headers={"hx-redirect": address}) if visit.by_script else RedirectResponse(address, 303)


def _address(view: QuestionView) -> str:
    return f"/question/{quote(view.question)}"


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _picture(file: bytes | None) -> Response:
    if file is None:
        raise HTTPException(404)
    return Response(file, media_type="image/png", headers={"cache-control": PRIVATE})


def _json(value: object) -> Response:
    import orjson

    return Response(orjson.dumps(value), media_type="application/json")
