"""The workflows that rules run: each is there, loads, and needs nothing from outside, or the policy is refused."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from agents.strategy.settings import Rule, StrategyError
from workflows.graph import GraphError
from workflows.graph_files import load
from workflows.plan import plan
from workflows.runs import RunError


def located(rules: Mapping[str, Rule], base: Path) -> dict[str, Rule]:
    """The rules with whole paths to their workflows; these are relative to `base`. Raises `StrategyError`."""
    return {name: _located(name, rule, base) if rule.run else rule for name, rule in rules.items()}


def _located(name: str, rule: Rule, base: Path) -> Rule:
    file, place = (base / rule.run).absolute(), f"[rules.{name}] run = {rule.run!r}"
    if not file.is_file():
        raise StrategyError(f"{place}: there is no file {file}; paths are relative to the policy's folder")
    try:
        laid = plan(load(file), {})
    except (GraphError, RunError) as error:
        raise StrategyError(f"{place}: {error}") from error
    if laid.givens:
        raise StrategyError(f"{place}: it needs {', '.join(sorted(laid.givens))} from outside, and a rule gives nothing; have a step make it")
    return msgspec.structs.replace(rule, run=str(file))
