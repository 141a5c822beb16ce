"""A page without a network between, and people who look at it; `test_served` has a real one."""

import asyncio
import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from agents.web.access import Access
from agents.web.app import Site
from tests.console.office import Office


@pytest.fixture
def images() -> dict[int, np.ndarray]:
    """Four images, each of another grey, by record."""
    return {seq: np.full((28, 28), 60 * place, np.uint8) for place, seq in enumerate((12, 15, 19, 23), 1)}


@pytest.fixture
def office(state: Path, images):
    """A cluster with a live pipeline and an incident, that has not asked anything yet."""
    with Office(state, images) as place:
        place.live()
        place.open_incident()
        yield place


@pytest.fixture(scope="session")
def loop():
    """The event loop in which pages are asked without a network."""
    with asyncio.Runner() as loop:
        yield loop


class InProcess(httpx.BaseTransport):
    """Asks an ASGI application in this process."""

    def __init__(self, app, loop: asyncio.Runner) -> None:
        self._inner, self._loop = httpx.ASGITransport(app), loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return self._loop.run(ask())


class Page:
    """What `WebPage` has, but asked in this process: a port and a server for each test would take more time than all the rest."""

    port = 8765
    address = f"http://127.0.0.1:{port}"

    def __init__(self, office: Office, loop: asyncio.Runner) -> None:
        self.access = Access(f"scanflow-{self.port}")
        self.site = Site(office.reception, self.access)
        self.link = f"{self.address}/enter?token={self.access.token}"
        self._transport = InProcess(self.site.app, loop)

    def client(self, *, follow_redirects: bool = True) -> httpx.Client:
        """Another browser, which has no cookies yet."""
        return httpx.Client(base_url=self.address, transport=self._transport, follow_redirects=follow_redirects)

    def get(self, address: str, **options) -> httpx.Response:
        """What somebody without a session gets."""
        return self.client(follow_redirects=False).get(address, **options)

    def post(self, address: str, **options) -> httpx.Response:
        """What somebody without a session gets for a form."""
        return self.client(follow_redirects=False).post(address, **options)


@pytest.fixture
def page(office, loop):
    """A page that is asked in this process."""
    return Page(office, loop)


class Person:
    """Somebody with a browser, without the browser."""

    def __init__(self, client: httpx.Client, token: str, name: str = "ana") -> None:
        self.client, self._secret = client, ""
        self.entered = client.post("/enter", data={"token": token, "name": name})

    def get(self, address, **headers):
        return self.client.get(address, headers=headers)

    def secret(self) -> str:
        """What each form of this person's session carries; it stays the same until the end of the session."""
        if not self._secret:
            self._secret = re.search(r'name="secret" value="([^"]+)"', self.get("/").text).group(1)
        return self._secret

    def post(self, address, headers=None, **fields):
        return self.client.post(address, data={"secret": self.secret(), **fields}, headers=headers or {})

    def press(self, key, item=None, question="digits-1/audit"):
        return self.post("/press", {"hx-request": "true"}, question=question, key=key, **({"item": str(item)} if item is not None else {}))


@pytest.fixture
def browser(page):
    """A function that makes a client without cookies."""
    return page.client


@pytest.fixture
def person(page, browser):
    """People with a session, by name; `token` lets them in by another link."""
    clients = []

    def come(name="ana", token=None):
        clients.append(browser())
        return Person(clients[-1], token or page.access.token, name)

    yield come
    for client in clients:
        client.close()


@pytest.fixture
def ana(person):
    return person("ana")
