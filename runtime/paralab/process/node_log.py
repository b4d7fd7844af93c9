"""What a node says of itself: in its log if it stands alone, else in its driver's terminal."""

from __future__ import annotations

import os
import sys


def log_to(path: str) -> None:
    """From now on there is no terminal that this process could write to."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def write(text: str) -> None:
    """Writes lines, unless who would read them is gone."""
    try:
        sys.stderr.write(text)
    except (OSError, ValueError, AttributeError):
        pass


def say(text: str) -> None:
    """Writes a line of the node's own."""
    write(f"paralab node: {text}\n")
