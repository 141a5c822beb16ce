"""What this room raises when its input is wrong. Every text says what happened, what was expected and what to do next."""


class DataError(Exception):
    """A data set's name, folder or file is unknown, missing or damaged."""


class ScenarioError(Exception):
    """A scenario file is missing, or holds something that a scenario may not hold."""
