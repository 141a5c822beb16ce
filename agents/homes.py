"""Where in a state folder each deployment keeps what is its own: ledger, pipelines, incidents, and the target of its service.

    STATE/                    lock, front door, records in MLflow, the page's keys: of all deployments
    STATE/deployments/NAME/   what is NAME's own

A folder in which one deployment was supervised alone has that one's things at its top. It goes on so, also when others come.
"""

import time

from agents.ledger import Ledger
from agents.messages import PipelineLive
from agents.state import LEDGER, State

DEPLOYMENTS = "deployments"


def home(state: State, deployment: str, *, alone: bool = True) -> State:
    """The part of a state folder, held by the caller, that is one deployment's; made if it is missing.

    Parameters
    ----------
    alone : whether no other deployment is supervised now; it then takes the top of a folder in which there is nothing yet.
    """
    apart = state.folder / DEPLOYMENTS / deployment
    if not apart.is_dir():
        owner = _owner(state)
        if owner == deployment or (owner is None and alone):
            return state
    return state.part(DEPLOYMENTS, deployment)


def _owner(state: State) -> str | None:
    """Whose things are at the top: the deployment that answered there last; None where none ever did."""
    if not (state.folder / LEDGER).exists():
        return None
    ledger = Ledger.in_folder(state.folder, clock=time.time)
    try:
        lives = ledger.messages(PipelineLive)
    finally:
        ledger.close()
    return lives[-1].deployment if lives else None


def homes(state: State) -> list[State]:
    """Every part of a state folder in which a ledger lies; nothing is made, so it need not be held."""
    parts = (state.folder, *sorted((state.folder / DEPLOYMENTS).glob("*")))
    return [State(folder) for folder in parts if (folder / LEDGER).is_file()]
