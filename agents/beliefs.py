"""What an agent believes, in words: its state and the few facts that it decides by, read from the agent and never kept beside it."""

from agents.agent import Agent

UNSAID = ("deployment", "story", "state")  # of every agent, or said first
LONGEST = 120  # characters of one fact
Facts = dict[str, str]


def beliefs(agent: Agent) -> Facts:
    """The state, then every attribute that is a plain value or a collection: collections by how many they hold, paths by their end.

    Works for any agent, and says nothing that is empty.

    >>> from agents.tracker import Tracker
    >>> beliefs(Tracker("digits"))
    {'state': 'idle', 'limit': '1024', 'cursor': '0', 'end of window': '0'}
    """
    told = {"state": agent.at()}
    for name, value in dict(vars(agent)).items():
        if name.startswith("_") or name in UNSAID:
            continue
        if text := _said(value):
            told[name.replace("_", " ")] = text[:LONGEST]
    return told


def _said(value: object) -> str:
    match value:
        case str():
            return "/".join(value.rsplit("/", 2)[1:]) if value.startswith("/") else value
        case bool() | int() | float():
            return str(value)
        case set() | frozenset() | dict() | list() | tuple() if value:
            names = [one for one in value if isinstance(one, str)]
            return f"{len(value)}" + (f" ({', '.join(sorted(names)[:5])}{', …' if len(names) > 5 else ''})" if names else "")
    return ""
