"""Which colour a function has: the same in every picture of one notebook.

Colours go to functions in the order in which pictures first show them.  There are five; from the
sixth function on they come again with a texture, so that two functions never look the same until
there are more than fifteen.
"""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = ("#3b78e0", "#268069", "#b07d2b", "#9170b8", "#c2558d")
"""Each with a contrast of 3 : 1 on white and on #111417."""
TEXTURES = ("", "dots", "stripes")


@dataclass(frozen=True, slots=True)
class Hue:
    """How a function is filled: a colour, and one of :data:`TEXTURES` over it."""

    colour: str
    texture: str = ""


RUN, STORE, TRANSFER, SUBMIT, FETCH = (Hue(colour) for colour in COLOURS)
"""What the colours mean where parts of a task are shown, and not functions."""
FAILURE = "#d5372b"


class Palette:
    """Gives each function its hue.

    Args:
        names: functions that come first, in this order.
    """

    def __init__(self, *names: str) -> None:
        self._hues: dict[str, Hue] = {}
        for name in names:
            self.hue(name)

    def hue(self, name: str) -> Hue:
        """The hue of a function; a new one if it has none yet."""
        found = self._hues.get(name)
        if found is None:
            turn, at = divmod(len(self._hues), len(COLOURS))
            found = self._hues[name] = Hue(COLOURS[at], TEXTURES[turn % len(TEXTURES)])
        return found


NOTEBOOK = Palette()
"""The palette of this process, which is one notebook's kernel."""
