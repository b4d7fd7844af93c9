"""What a picture of frames carries besides its drawing, so that a click can zoom into a frame.

The drawing is of the whole, where narrow frames cannot be seen.  Where scripts run, ``zoom.js``
draws what is below one frame anew, in the whole width: from the rows here, one a frame, a caller
before what it called.  The largest frames are kept (:data:`MOST`), since a saved picture has to
stay small.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paralab_profiling.details import Details
from paralab_profiling.palette import RUN
from paralab_profiling.profilers import words
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.svg import IDLE, LINE, WIDTH, percent

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

MOST = 600
MONO = 7.2
"""Width of one character of code."""
ALL = "frame0"
"""The key of all tasks together."""
LOOKS = {"task": "yours", "yours": "yours", "library": "library", "runtime": "runtime"}
"""By the kind of a frame how it looks; else it waits."""
MEANINGS = {
    "yours": "your code",
    "library": "libraries",
    "runtime": "paralab itself",
    "waiting": "waiting",
}
"""What the fills mean, in the order of legends."""


def look_of(kind: str) -> str:
    """One of :data:`MEANINGS`."""
    return LOOKS.get(kind, "waiting")


def fills(hatch: str) -> dict[str, tuple[str, str, str]]:
    """Of each look the fill, the outline and the class of text on it."""
    return {
        "yours": (RUN.colour, "", "on"),
        "library": ("var(--panel)", LINE, "halo"),
        "runtime": (hatch, LINE, "halo"),
        "waiting": (IDLE, LINE, "halo"),
    }


class Frames:
    """The frames of a profile by their keys, and what is told of each.

    Attributes:
        keys: of each frame that is kept, by its ``id``; those of others are missing.
        facts: what is told of a frame when it is selected, by its key.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.whole = profile.total_of_all
        found = words.answer(profile)
        self.answer = found.where if found else None
        every = [frame for root in profile.roots for _, frame in root.walk()]
        every.sort(key=lambda frame: -frame.total)  # stable: no callee comes before its caller
        self._kept = {id(frame) for frame in every[:MOST]}
        amount = words.amount_of(self.whole, profile.unit)
        self.keys: dict[int, str] = {}
        self.facts: dict[str, dict[str, str]] = {ALL: {"function": "all tasks", "total": amount}}
        self._takes: dict[str, tuple[str, ...]] = {}
        self._rows: list[list[Any]] = [[-1, 0, 1, "all", f"all tasks  {amount}", "100 %"]]
        at = 0.0
        for root in profile.roots:
            self._keep(root, 0, at)
            at += root.total

    def _keep(self, frame: Frame, caller: int, at: float) -> None:
        if id(frame) not in self._kept:
            return
        number = len(self._rows)
        key = self.keys[id(frame)] = f"frame{number}"
        self._takes[key] = (f"frame{caller}",)
        self.facts[key] = self.facts_of(frame)
        share, width = self.share(frame), frame.total / self.whole if self.whole > 0 else 0.0
        start = at / self.whole if self.whole > 0 else 0.0
        name, look = self.label(frame), look_of(frame.kind)
        row = [caller, round(start, 6), round(width, 6), look, name, share]
        self._rows.append([*row, 1] if frame.where == self.answer else row)
        for child in frame.children:
            self._keep(child, number, at)
            at += child.total

    def share(self, frame: Frame) -> str:
        """Of all that was measured."""
        return percent(frame.total / self.whole) if self.whole > 0 else "0 %"

    def label(self, frame: Frame) -> str:
        """Its name, of a task with how many there were."""
        name = words.short(frame.name, 80)
        return f"{name} ×{frame.calls:,}" if frame.kind == "task" and frame.calls else name

    def facts_of(self, frame: Frame) -> dict[str, str]:
        """What is told of it."""
        unit = self._profile.unit
        facts = {
            "function": words.short(frame.name, 200),
            "where": words.place(frame.where),
            "total": f"{words.amount_of(frame.total, unit)}, {self.share(frame)}",
            "own": words.amount_of(frame.own, unit),
        }
        if frame.calls:
            facts["tasks" if frame.kind == "task" else "calls"] = f"{frame.calls:,}"
        return facts

    def tip(self, frame: Frame) -> str:
        """What shows where a pointer hovers."""
        total = words.amount_of(frame.total, self._profile.unit)
        return f"{self.label(frame)}  {words.place(frame.where)}: {total}, {self.share(frame)}"

    def details(self) -> Details:
        """For a picture; all pictures of one profile select together."""
        run = zlib.crc32(repr((self._rows, self.facts)).encode("utf-8", "replace"))
        return Details(self.facts, f"profile {run:08x}", {}, self._takes)

    def data(self, shape: str, hatch: str, places: Mapping[str, Any]) -> dict[str, Any]:
        """For ``zoom.js``: how the frames were drawn, by their ``shape`` in which ``places``."""
        return {
            "shape": shape,
            "fills": fills(hatch),
            "rows": self._rows,
            "mono": MONO,
            "width": WIDTH,
            **places,
        }
