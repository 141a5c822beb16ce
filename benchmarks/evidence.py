"""How often is a remedy kept, by how often it is right where it differs from the model? A simulation of choice and verification.

    python -m benchmarks.evidence             # a minute on one core
    python -m benchmarks.evidence --incidents 2000
    python -m benchmarks.evidence --errors 0.1             # one label in ten is wrong, another of ten classes as likely as the next
    python -m benchmarks.evidence --errors 0.1 --biased    # ... and every wrong one says what the remedy says

Four remedies, each of which differs from the model on six of ten of the images that are asked about; where it does, it wins or loses with
the stated chances. 14 labels for the choice, 10 for the verification, what is left over handed on, as the policy has it.
Three rules are compared: each audit by itself must exclude "no gain"; the evidence of both counts together (decision 0006,
`verification.in_doubt = "undo"`); or the same, and a doubt is settled by imitated images (decision 0008, "imitation"). The last column takes the
drift's name to be wrong and yet sure, and the imitated gain to be there whatever the remedy does: the worst that can be.
"""

import math
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from agents.planner import WEIGHT
from agents.policy import Policy
from models.estimators.paired import PairedGain, enough_evidence

REMEDIES = 4
DIFFERS = 0.6
CLASSES = 10
ALIKE = 0.6  # chance that a remedy meets an image as the others do
CHANCES = ((0.4, 0.4), (0.3, 0.5), (0.5, 0.2), (0.6, 0.15), (0.7, 0.1), (0.8, 0.08))


class Person:
    """Says which of two answers is right, and names the wrong class with probability `errors`.

    Errors that fall on all other classes evenly shrink every gain by the factor 1 - errors * CLASSES / (CLASSES - 1), one of nothing to
    nothing; with `biased`, each error is the class that the remedy says.
    """

    def __init__(self, rng: np.random.Generator, errors: float, *, biased: bool) -> None:
        self._rng, self._errors, self._biased = rng, errors, biased
        self._wrong = False

    def sees(self) -> None:
        """Look at the next image."""
        self._wrong = self._errors > 0 and self._rng.random() < self._errors

    def judges(self, luck: float, win: float, lose: float) -> tuple[bool, bool]:
        """Whether model and remedy, which differ on this image, are right in this person's eyes."""
        model, remedy = win <= luck < win + lose, luck < win
        if not self._wrong:
            return model, remedy
        if self._biased:
            return False, True
        named = self._rng.random() * (CLASSES - 1)  # of the other classes, the first is the model's, the second the remedy's, if it is wrong
        return (not model and named < 1), (not remedy and 1 <= named < 2)


def incident(win: float, lose: float, rng: np.random.Generator, policy: Policy, person: Person) -> tuple[bool, bool, bool]:
    """Whether one remedy is kept at the end of one incident: by each audit alone, by both together, and if imitation settles a doubt."""
    enough = enough_evidence(policy.verification.level)
    audits = [PairedGain(1.0, 1.0, policy.remedies.level) for _ in range(REMEDIES)]
    balance = dict.fromkeys(audits, 0)  # wins less losses
    left = policy.labels.choose
    for _ in range(policy.labels.choose):
        left -= 1
        same = rng.random()
        person.sees()
        for audit in audits:
            luck = same if rng.random() < ALIKE else rng.random()
            differs = rng.random() < DIFFERS
            model, remedy = person.judges(luck, win, lose)
            audit.update(1.0, a_right=differs and model, b_right=differs and remedy)
            balance[audit] += differs * (remedy - model)
        best = max(audits, key=lambda audit: audit.log_evidence)
        if best.interval[0] > max(0.0, *(audit.interval[1] for audit in audits if audit is not best)):
            break
    chosen = float(np.logaddexp(0.0, best.log_evidence - math.log(REMEDIES))) - math.log(2)
    fresh = PairedGain(1.0, 1.0, policy.verification.level)
    apart = together = False
    favour = 0
    for _ in range(policy.labels.verify + left):
        luck = rng.random()
        person.sees()
        model, remedy = person.judges(luck, win, lose)
        fresh.update(1.0, a_right=model, b_right=remedy)
        favour += remedy - model
        apart = apart or fresh.interval[0] > 0
        together = together or (fresh.log_evidence >= WEIGHT and fresh.log_evidence + chosen >= enough)
    together = together or (fresh.log_evidence > 0 and fresh.log_evidence + chosen >= enough)
    together = together and best.log_evidence > 0
    favoured = balance[best] > 0 and favour > 0 and fresh.log_evidence + chosen > 0
    return best.interval[0] > 0 and apart, together, together or favoured


def main(
    incidents: Annotated[int, typer.Option(help="How many incidents to simulate for each row.")] = 1000,
    seed: int = 0,
    errors: Annotated[float, typer.Option(help="Share of labels that are wrong.", min=0.0, max=1.0)] = 0.0,
    biased: Annotated[bool, typer.Option(help="Wrong labels say what the remedy says.")] = False,
) -> None:
    """Simulate incidents and print how often a remedy was kept."""
    table = Table(title=f"share of {incidents} simulated incidents that ended with a remedy kept (standard error at most {0.5 / incidents**0.5:.3f})")
    for column in ("wins", "loses", "each audit by itself", "together", "and a wrong name in doubt"):
        table.add_column(column, justify="right")
    for row, (win, lose) in enumerate(CHANCES):
        rng = np.random.default_rng([seed, row])
        person = Person(rng, errors, biased=biased)
        kept = np.mean([incident(win, lose, rng, Policy(), person) for _ in range(incidents)], axis=0)
        table.add_row(f"{win:.0%}", f"{lose:.0%}", *(f"{share:.1%}" for share in kept))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
