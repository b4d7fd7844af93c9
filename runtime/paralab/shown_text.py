"""What users name and say, as text that may be shown anywhere that shows text.

Whatever a task, an actor or an exception is called must not act on the reader's terminal: not
clear it, not set its title, not forge a line, not turn the direction of what follows.  So it is
decided once, here, what such text looks like.  Functions, classes and their calls take their
shown names when they are made; names by which something is found again (an actor's, a
namespace's) stay as they are given, and pass here when they are shown.

Markup is another matter: ``<b>`` is text, and whoever makes HTML or SVG of it escapes it there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

LONGEST_NAME = 500
"""Characters of a name that are shown."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# C0 and C1 without tab and newline, line and paragraph separators, what turns the direction of
# text, and halves of characters, which no terminal's encoding can say.
_hidden = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_colour = re.compile(r"\x1b\[[0-9;:]*m")
_RESET = "\x1b[0m"


def shown_name(name: str, most: int = LONGEST_NAME) -> str:
    """A name in one line: what could control a terminal is replaced, and a long one is cut.

    Args:
        name: what a user has named something.
        most: characters that are shown.
    """
    if len(name) > most:
        name = name[: most - 1] + "…"
    if name.isprintable():
        return name
    return _hidden.sub(REPLACEMENT, " ".join(name.splitlines()).replace("\t", " "))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """One sentence and a space, such as "Did you mean num_cpus? ", if a known name is like this."""
    from difflib import get_close_matches  # not needed where all is right

    public = [each for each in known if not each.startswith("_")]
    close = get_close_matches(str(name), public, 2)
    return f"Did you mean {' or '.join(close)}? " if close else ""


def shown_text(text: str) -> str:
    """Text in lines: colours (ECMA-48 "SGR") are kept, and ended; other controls are replaced."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if "\x1b" not in text:
        return _hidden.sub(REPLACEMENT, text)
    parts = [_hidden.sub(REPLACEMENT, part) for part in _colour.split(text)]
    colours = _colour.findall(text)
    shown = parts[0] + "".join(map(str.__add__, colours, parts[1:]))
    return shown + _RESET if colours and colours[-1] not in (_RESET, "\x1b[m") else shown


def shown_path(path: str) -> str:
    """A path with ``~`` for the user's home, for what is kept and passed on, as notebooks are."""
    home = os.path.expanduser("~").rstrip(os.sep)
    if home and path.startswith(home + os.sep):
        return "~" + path[len(home) :]
    return path
