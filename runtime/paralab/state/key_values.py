"""Small values under names that all drivers and workers of a node share, for as long as it lives.

A key stands in a namespace, which are bytes too; they have nothing to do with the namespaces of
actors.  An entry appears with "put" and leaves with "delete".  Nothing here is counted or freed by
itself: this is for a few facts, an address say, and not for data.
"""

from __future__ import annotations

from typing import Any


class KeyValues:
    """The table of one node."""

    def __init__(self) -> None:
        self._spaces: dict[bytes, dict[bytes, bytes]] = {}

    def do(self, what: str, space: bytes, key: bytes, more: Any) -> Any:
        """Answers one question.

        Args:
            what: "get", "put", "delete" or "list".
            space: the namespace.
            key: the key; for "list" what keys begin with.
            more: for "put" the value and whether it may replace another, for "delete"
                whether all keys go that begin with ``key``.

        Returns:
            the value or None; whether there was a value; how many went; the keys.
        """
        values = self._spaces.get(space, {})
        if what == "put":
            value, overwrite = more
            was_there = key in values
            if overwrite or not was_there:
                self._spaces.setdefault(space, values)[key] = value
            return was_there
        if what == "list":
            return [each for each in values if each.startswith(key)]
        if what == "delete":
            gone = [each for each in values if (each.startswith(key) if more else each == key)]
            for each in gone:
                del values[each]
            if not values:
                self._spaces.pop(space, None)
            return len(gone)
        return values.get(key)
