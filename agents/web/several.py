"""The pages of several deployments on one server: a card for each at `/`, the pages of each below `/at/NAME`, one way in for all."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route

from agents.reception import Reception, ReceptionError
from agents.web.access import Access, AccessError, Session
from agents.web.app import Site, Visit
from agents.web.views import Views, plain


def place(deployment: str) -> str:
    """What leads the addresses of a deployment's pages."""
    return f"/at/{deployment}"


class FrontSite(Site):
    """The page in front of the deployments' own, `sites`. Whoever has come in here is known to all."""

    def __init__(self, receptions: Sequence[Reception], access: Access) -> None:
        super().__init__(receptions[0], access)
        self.views = _FrontViews(receptions[0], self.beside)
        self.sites = [Site(one, access, place(one.deployment)) for one in receptions]
        known = self._known
        self.app = Starlette(
            routes=[
                Route("/", known(self._cards)), Route("/status.json", known(self._statuses)), Route("/leave", known(self._leave), methods=["POST"]),
                Route("/enter", self._enter, methods=["GET", "POST"]), Route("/static/{name}", self._asset),
                *(Mount(place(one.reception.deployment), one.app) for one in self.sites),
            ],
            exception_handlers={HTTPException: self._missing, AccessError: self._refused, ReceptionError: self._refused},
            lifespan=self._all_live,
        )

    @asynccontextmanager
    async def _all_live(self, _app: Starlette) -> AsyncIterator[None]:
        """A mounted application is not told of its beginning and end."""
        for one in self.sites:
            one.live.start()
        yield
        for one in self.sites:
            one.live.close()

    def _cards(self, visit: Visit) -> Response:
        return self._page("cards.html", visit, cards=[_card(one) for one in self.sites], watch_link=self._watch_link(visit))

    def _statuses(self, _visit: Visit) -> Response:
        return Response(msgspec.json.encode([plain(one.reception.board.status()) for one in self.sites]), media_type="application/json")


class _FrontViews(Views):
    """Pages that are no deployment's."""

    def page(self, template: str, visitor: Session | None, notice: str = "", **fields: Any) -> str:
        """A whole page."""
        nobody = msgspec.structs.replace(self._reception.board.status(), deployment="scanflow")
        return super().page(template, visitor, notice, **({"status": nobody} | fields))


def _card(site: Site) -> dict[str, Any]:
    """What the card of a deployment shows. `share`: of the way to the alarm line, in percent."""
    status = site.reception.board.status()
    line = status.alarm_line
    return {
        "status": status, "at": place(status.deployment), "open_count": len(status.questions), "accuracy": site.views.accuracy(status),
        "unsettled": [view for view in status.incidents if not view.outcome],
        "share": round(100 * min(max(status.log_evidence / line, 0.0), 1.0)) if line else 0,
    }  # fmt: skip
