"""Which files of a folder are left out of its copy: patterns as in ``.gitignore``.

The last pattern that fits a path decides; one that begins with ``!`` takes it in again.  What
lies in a folder that is left out is never looked at, so it cannot be taken in again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

FILES = (".gitignore", ".rayignore")
ALWAYS = (".git", ".venv", "venv", "__pycache__")


class Pattern:
    """One line of an ignore file.

    Args:
        line: without its end, and neither empty nor a comment.
        base: the folder it stands in, relative to the copied one; "" is that one itself.
    """

    __slots__ = ("_base", "_folders_only", "_regex", "takes_in")

    def __init__(self, line: str, base: str = "") -> None:
        self.takes_in = line.startswith("!")
        line = line[1:] if self.takes_in else line
        self._folders_only = line.endswith("/")
        line = line.rstrip("/")
        anywhere = "/" not in line
        self._base = f"{base}/" if base else ""
        self._regex = re.compile(("(?:.*/)?" if anywhere else "") + _regex(line.lstrip("/")))

    def fits(self, path: str, is_folder: bool) -> bool:
        """Whether it is about ``path``, which is relative to the copied folder."""
        if self._folders_only and not is_folder:
            return False
        if not path.startswith(self._base):
            return False
        return self._regex.fullmatch(path[len(self._base) :]) is not None


def _regex(glob: str) -> str:
    regex = ""
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            regex += "(?:.*/)?"
            at += 3
            continue
        character = glob[at]
        at += 1
        if character == "*":
            regex += ".*" if glob.startswith("*", at) else "[^/]*"
            at += glob.startswith("*", at)
        elif character == "?":
            regex += "[^/]"
        elif character == "[" and (end := glob.find("]", at + 1)) > 0:
            inside = glob[at:end].replace("\\", "\\\\")
            regex += "[^" + inside[1:] + "]" if inside[0] in "!^" else "[" + inside + "]"
            at = end + 1
        else:
            if character == "\\" and at < len(glob):
                character = glob[at]
                at += 1
            regex += re.escape(character)
    return regex


def patterns(lines: Iterable[str], base: str = "") -> list[Pattern]:
    """The patterns in the lines of an ignore file."""
    stripped = (line.rstrip("\n").rstrip() for line in lines)
    return [Pattern(line, base) for line in stripped if line and not line.startswith("#")]


def patterns_in(folder: str, base: str) -> list[Pattern]:
    """The patterns of the ignore files that stand in ``folder``."""
    found: list[Pattern] = []
    for name in FILES:
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                found += patterns(file, base)
        except OSError:
            continue
    return found


def is_left_out(path: str, is_folder: bool, known: Iterable[Pattern]) -> bool:
    """Whether the patterns, all of them read in order, leave ``path`` out."""
    left_out = False
    for pattern in known:
        if pattern.takes_in is left_out and pattern.fits(path, is_folder):
            left_out = not pattern.takes_in
    return left_out
