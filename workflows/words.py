"""Words for errors: what was probably meant."""

import difflib
from collections.abc import Iterable


def nearest(word: str, allowed: Iterable[str]) -> str:
    """The end of an error's sentence: the closest of the `allowed` words, and all of them where they are few.

    >>> nearest("traln", ["train", "evaluate"])
    "; did you mean 'train'? There are: train, evaluate"
    >>> nearest("x", [])
    '; there are none'
    """
    known = list(allowed)
    if not known:
        return "; there are none"
    close = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {close[0]!r}? " if close else ". "
    shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return f"{hint}There are: {shown}"
