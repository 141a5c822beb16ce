"""What this room raises when its input is wrong. Every text says what happened, what was expected and what to do next."""


class DataError(Exception):
    """A data set's name, folder or file is unknown, missing or damaged."""


class ScenarioError(Exception):
    """A scenario file is missing, or holds something that a scenario may not hold."""


def brief(error: Exception) -> str:
    r"""The end of what a library says, on one line of at most 120 characters: it may list every address that it tried.

    >>> brief(RuntimeError("Error downloading a.gz:\nTried https://a.example/a.gz, got:\nno route\n")), brief(OSError())
    ('no route', 'OSError')
    """
    lines = str(error).strip().splitlines()
    return lines[-1][:120] if lines else type(error).__name__
