"""Lines that tell of progress bars, among what tasks print: how they are known and who takes them.

The driver's bars (``experimental.bars``) are loaded with the first such line.
"""

from __future__ import annotations

import importlib
import sys

BAR_MARK = "\x02paralab-bar\x03"
"""Begins such a line; printable text has neither of these characters."""
_DRAWS = "paralab.experimental.bars"


def without_bars(name: str, pid: int, text: str) -> str:
    """Hands over the lines about bars; what is left of the text, to be shown.

    Args:
        name, pid: the task or actor, and the process, that has printed ``text``.
    """
    if BAR_MARK in text or _DRAWS in sys.modules:
        left: str = importlib.import_module(_DRAWS).taken(name, pid, text)
        return left
    return text
