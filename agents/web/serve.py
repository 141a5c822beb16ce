"""The page as a thread of the cluster: bound to this machine unless told otherwise, gone without a trace when closed."""

import errno
import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.routing import BaseRoute

from agents.reception import Reception
from agents.web.access import LOOPBACK, Access
from agents.web.app import Site
from agents.web.several import FrontSite, place

PORT = 8765
START_SECONDS = 10.0


class WebError(Exception):
    """The page cannot be served; the text says why and what to type."""


class WebPage:
    """Serves the page from its making until `close`.

    Parameters
    ----------
    reception : of the deployment, or of each of several.
    host : address to bind; a loopback address answers this machine only.
    port : 0 takes a free one.
    routes : further addresses, which look after their own access; each is made for the page's `Access`.

    Attributes
    ----------
    link, watch_link : what to open, with the token in it: to answer, and only to watch.

    Raises
    ------
    WebError
        when the address cannot be bound.
    """

    def __init__(
        self, reception: Reception | Sequence[Reception], host: str = "127.0.0.1", port: int = PORT,
        routes: Sequence[Callable[[Access], BaseRoute]] = (),
    ) -> None:
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        loopback = host in LOOPBACK
        self.access = Access(f"scanflow-{self.port}", only_loopback=loopback)
        shown = host if loopback else socket.gethostname()
        self.address = f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"
        self.link = f"{self.address}/enter?token={self.access.token}"
        self.watch_link = f"{self.address}/enter?token={self.access.watch_token}"
        receptions = [reception] if isinstance(reception, Reception) else reception
        self.site = Site(receptions[0], self.access) if len(receptions) == 1 else FrontSite(receptions, self.access)
        self._sites: list[Site] = self.site.sites if isinstance(self.site, FrontSite) else [self.site]
        self.site.app.router.routes.extend(route(self.access) for route in routes)
        config = uvicorn.Config(
            self.site.app, log_level="warning", access_log=False,  # a log of requests would hold the token
            server_header=False, timeout_graceful_shutdown=2, timeout_keep_alive=30,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._thread.start()
        self._await_start()

    def close(self) -> None:
        """End all streams, answer what is under way, let the port go."""
        for site in self._sites:
            site.seats.sweep(older_than=0.0)
        self._server.should_exit = True
        for live in [site.live for site in self._sites]:  # streams end only when they are told; the server waits for them
            if (loop := live.loop) is not None and not loop.is_closed():
                loop.call_soon_threadsafe(live.close)
        self._thread.join(10.0)
        for site in self._sites:
            site.live.join(10.0)
        self._socket.close()

    def address_of(self, deployment: str) -> str:
        """Where the pages of a deployment begin."""
        return self.address + (place(deployment) if isinstance(self.site, FrontSite) else "")

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def _await_start(self) -> None:
        if not all(site.live.started.wait(START_SECONDS) for site in self._sites):
            self.close()
            raise WebError(f"the page did not start within {START_SECONDS:.0f} s; go on without it, or try again")


def open_page(
    reception: Reception | Sequence[Reception], host: str, port: int, say: Callable[[str], None],
    routes: Sequence[Callable[[Access], BaseRoute]] = (),
) -> WebPage | None:
    """Serve the page and say where it is; where it cannot be, say why, and go on without."""
    try:
        page = WebPage(reception, host, port, routes)
    except WebError as error:
        say(f"no web page: {error}")
        return None
    say(f"the web page, to see and to answer: {page.link}")
    say(f"only to watch: {page.watch_link}")
    if host not in LOOPBACK:
        say("this page can be reached from other machines and is not encrypted; whoever has the link can answer")
    return page


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise WebError(f"{host!r} is no address of this machine ({error}); give --web-host 127.0.0.1, or leave it out") from None
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(128)  # at once: until then another program may bind the same port
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise WebError(f"port {port} of {host} is taken; give another with --web-port, 0 for any free one, or --no-web") from None
        raise WebError(f"{host}:{port} cannot be bound ({error.strerror}); give another with --web-host and --web-port, or --no-web") from None
    return bound
