"""The map's page: the points for the script, one image at a time, and a closer look at those that were chosen."""

import msgspec
from starlette.responses import HTMLResponse, Response

from agents.atlas import Atlas
from agents.reception import Reception
from agents.web.png import png
from agents.web.views import SIDE, Views

LOOKED_AT = 60  # images of a closer look
FURTHEST = 12


class MapPages:
    """What `/map` and the addresses below it show."""

    def __init__(self, views: Views) -> None:
        self._views, self._atlas = views, Atlas()

    def page(self, reception: Reception) -> dict[str, object]:
        """What the page shows before its script has drawn: words, and the records that are furthest from clean data."""
        shown = self._atlas.map(reception)
        return {"map": shown, "looks": self._looks(reception, [point.key for point in shown.furthest(FURTHEST)]) if shown else []}

    def points(self, reception: Reception, layout: str) -> Response:
        """The map for the script, as JSON. `layout`: "neighbours", or else the plane."""
        shown = self._atlas.map(reception, "neighbours" if layout == "neighbours" else "plane")
        return Response(msgspec.json.encode(shown), media_type="application/json", status_code=200 if shown else 404)

    def image(self, reception: Reception, seq: int) -> bytes | None:
        """A record's image as PNG, as far as it is kept."""
        image = reception.images([seq]).get(seq)
        return None if image is None or image.ndim == 1 else png(image, SIDE // 3)

    def look(self, reception: Reception, seqs: list[int], secret: str, *, may_answer: bool) -> Response:
        """A grid of chosen records with what was answered to them; those of an open question can be labelled first."""
        asked = next((view for view in reception.board.questions() if view.kind == "labels" and set(view.items) & set(seqs)), None)
        inside = [seq for seq in seqs if asked and seq in asked.items and seq not in asked.answers]
        fields = {"looks": self._looks(reception, seqs[:LOOKED_AT]), "chosen": len(seqs), "asked": asked, "inside": inside, "secret": secret}
        return HTMLResponse(self._views.part("look.html", may_answer=may_answer, **fields))

    def _looks(self, reception: Reception, seqs: list[int]) -> list[tuple[int, str]]:
        """Records whose images are kept, with the answers they got; of what somebody is asked about, the answer is not told."""
        hidden = {seq for view in reception.board.questions() for seq in view.items}
        shown = self._atlas.map(reception)
        said = {point.key: shown.classes[point.label] for point in shown.recent if point.label >= 0} if shown else {}
        images = reception.images(seqs)
        return [(seq, "" if seq in hidden else said.get(seq, "")) for seq in seqs if seq in images and images[seq].ndim > 1]


def numbers(text: str) -> list[int]:
    """Record numbers of an address or a form, in their order, each once.

    >>> numbers("12,7,,x,7")
    [12, 7]
    """
    return list(dict.fromkeys(int(one) for one in text.split(",") if one.isascii() and one.isdigit() and len(one) < 16))[:2000]
