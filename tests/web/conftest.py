import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from agents.web.serve import WebPage
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


@pytest.fixture
def page(office):
    """The page on a real port."""
    served = WebPage(office.reception, port=0)
    yield served
    served.close()


class Person:
    """Somebody with a browser, without the browser."""

    def __init__(self, client: httpx.Client, token: str, name: str = "ana") -> None:
        self.client = client
        self.entered = client.post("/enter", data={"token": token, "name": name})

    def get(self, address, **headers):
        return self.client.get(address, headers=headers)

    def secret(self) -> str:
        return re.search(r'name="secret" value="([^"]+)"', self.get("/").text).group(1)

    def post(self, address, headers=None, **fields):
        return self.client.post(address, data={"secret": self.secret(), **fields}, headers=headers or {})

    def press(self, key, item=None, question="digits-1/audit"):
        return self.post("/press", {"hx-request": "true"}, question=question, key=key, **({"item": str(item)} if item is not None else {}))


@pytest.fixture
def person(page):
    """People with a session, by name; `token` lets them in by another link."""
    clients = []

    def come(name="ana", token=None):
        clients.append(httpx.Client(base_url=page.address, follow_redirects=True))
        return Person(clients[-1], token or page.access.token, name)

    yield come
    for client in clients:
        client.close()


@pytest.fixture
def ana(person):
    return person("ana")
