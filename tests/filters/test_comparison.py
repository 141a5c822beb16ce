"""What the benchmark of filters says of its rows."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from benchmarks.filters import compare, show


def row(corruption: str, start: int, after: float, score: float, method: str = "one_start", labels: int = 0) -> dict[str, Any]:
    return {
        "dataset": "mnist", "source": "own", "corruption": corruption, "seed": 0, "labels": labels, "method": method, "start": start,
        "drift_as_is": 0.5, "drift_gated": after, "drift_ungated": after, "drift_routed": 1.0, "clean_as_is": 0.99, "clean_gated": 0.989,
        "clean_ungated": 0.7, "distance": 0.1, "agreement": 0.9, "score": score, "seconds": 20.0,
    }


def printed(what: Any, *arguments: Any) -> str:
    text = StringIO()
    what(*arguments, Console(file=text, width=200))
    return text.getvalue()


def test_a_start_far_below_the_best_of_its_corruption_is_a_wrong_solution() -> None:
    rows = [row("fog", 0, 0.98, 0.2), row("fog", 1, 0.90, 0.9), row("fog", 2, 0.95, 0.3), row("scale", 0, 0.8, 0.5)]
    assert "wrong solutions (over 0.05 below the best start): 1 of 4" in printed(show, rows, "title")


@pytest.mark.parametrize(("score", "right"), [(0.1, "1.00"), (0.9, "0.00")])
def test_the_pick_without_labels_is_the_start_of_the_lowest_score(score: float, right: str) -> None:
    text = printed(show, [row("fog", 0, 0.98, score), row("fog", 1, 0.90, 0.5)], "title")
    assert f"within 0.01 of the best start: {right} (any start: 0.50)" in text


def test_methods_are_compared_on_the_same_starts_alone() -> None:
    rows = [row(name, 0, 0.90, 0.5) for name in ("fog", "scale")] + [row("stripe", 0, 0.1, 0.5)]
    rows += [row("fog", 0, 0.92, 0.5, "few_images"), row("scale", 0, 0.94, 0.5, "few_images"), row("fog", 1, 0.2, 0.5, "few_images")]
    assert "few_images against one_start, own, 0 labels: +0.0300 +- 0.1271 over 2 corruptions" in printed(compare, rows)


def test_one_corruption_alone_is_no_comparison() -> None:
    assert not printed(compare, [row("fog", 0, 0.9, 0.5), row("fog", 0, 0.92, 0.5, "few_images")])
