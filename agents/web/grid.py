"""Several images at once: what each page of the grid shows, and how its answers are handed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.board import QuestionView
from agents.labelling import SKIP, WORD_KEYS, class_keys
from agents.reception import Images, Reception

CELLS = 12
FIELD = "image-"  # of the form, before the record's number


@dataclass(frozen=True)
class HandedIn:
    """What became of a page: answers that were taken, those held back since one before them is missing, and why the first was refused."""

    taken: int
    held: int
    refused: str


def cells(view: QuestionView, order: tuple[int, ...], images: Images) -> dict[str, Any]:
    """What the template shows: the next images without an answer, in the person's order; empty fields where there are no pictures."""
    missing = [seq for seq in view.items if seq not in view.answers]
    shown = [seq for seq in order if seq in missing and seq in images and images[seq].ndim > 1][:CELLS]
    by_class = {name: key for key, name in class_keys(view.classes).items()}
    words = {word: key for key, word in WORD_KEYS.items()}
    return {"question": view, "cells": shown, "missing": len(missing), "total": len(view.items), "by_class": by_class, "words": words}


def hand_in(reception: Reception, view: QuestionView, order: tuple[int, ...], by: str, form: Mapping[str, str]) -> HandedIn:
    """Hand in the answers of a page, in order.

    Where labels measure, only those before the first image without an answer: their order was drawn at random, asking may stop at any of
    them, and whoever leaves out the hard ones would make the model look better than it is.
    """
    shown = [seq for seq in order if f"{FIELD}{seq}" in form and seq not in view.answers]
    answers = {seq: form[f"{FIELD}{seq}"].strip() for seq in shown}
    given = [seq for seq in shown if answers[seq]]
    ready = given
    if view.purpose == "audit" and (gap := next((seq for seq in shown if not answers[seq]), None)) is not None:
        ready = [seq for seq in given if shown.index(seq) < shown.index(gap)]
    taken = 0
    for seq in ready:
        if reception.board.closed(view.question) is not None:
            break  # settled by those before: the rest is not needed
        if refused := reception.answer(view.question, answers[seq], by, seq, source="web"):
            return HandedIn(taken, len(given) - len(ready), refused)
        taken += 1
    return HandedIn(taken, len(given) - len(ready), "")


def told(result: HandedIn) -> str:
    """The same in words.

    >>> told(HandedIn(3, 2, ""))
    '3 answers taken. 2 wait for the images before them: these labels measure, so none may be left out; “skip” and “unsure” are answers.'
    >>> told(HandedIn(0, 0, ""))
    'No answer was given yet.'
    """
    said = [f"{result.taken} answer{'' if result.taken == 1 else 's'} taken."] if result.taken else []
    if result.held:
        reason = f"these labels measure, so none may be left out; “{SKIP}” and “unsure” are answers."
        said.append(f"{result.held} wait{'s' if result.held == 1 else ''} for the images before them: {reason}")
    if result.refused:
        said.append(f"Not taken: {result.refused}.")
    return " ".join(said) or "No answer was given yet."
