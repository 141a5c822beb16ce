"""What can follow what was typed at the prompt: commands, incidents, records, options, sections of the policy."""

from collections.abc import Iterable

from prompt_toolkit.completion import NestedCompleter

from agents.board import QuestionView
from agents.commands import ALL, COMMANDS, JSON
from agents.labelling import WORD_KEYS


def completer(
    incidents: Iterable[str], questions: Iterable[QuestionView], sections: Iterable[str], deployments: Iterable[str] = ()
) -> NestedCompleter:
    """Completes by what is known now.

    >>> from prompt_toolkit.completion import CompleteEvent
    >>> from prompt_toolkit.document import Document
    >>> ask = QuestionView("q", "labels", "digits-1", "why", 0.0, items=(12, 15), classes=("cat", "dog"), answers={12: "cat"})
    >>> known = completer(["digits-1"], [ask], ["labels"])
    >>> [[found.text for found in known.get_completions(Document(typed), CompleteEvent())] for typed in ("sto", "label ", "label 15 d")]
    [['story'], ['15'], ['dog']]
    """
    asked = list(questions)
    json: dict[str, object] = {"--json": None}
    words: dict[str, object] = {verb: dict(json) if verb in JSON else None for verb in COMMANDS}
    words["story"] = {name: dict(json) for name in incidents} | json
    words["policy"] = {name: dict(json) for name in sections} | json
    words["use"] = dict.fromkeys((*deployments, ALL))
    words["choose"] = {option: None for one in asked for option in one.options}
    words["label"] = {
        str(seq): dict.fromkeys((*one.classes, *WORD_KEYS.values(), "expected")) for one in asked for seq in one.items if seq not in one.answers
    }
    words["amend"] = {
        str(seq): dict.fromkeys((*one.classes, *WORD_KEYS.values())) for one in asked for seq in one.items if seq in one.answers
    }
    words["show"] = {str(seq): None for one in asked for seq in one.items}
    return NestedCompleter.from_nested_dict(words)
