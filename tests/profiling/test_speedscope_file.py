"""A profile's speedscope file keeps the rules of the format, on every machine.

Source: https://www.speedscope.app/file-format-schema.json.  ``tests/browser/test_speedscope.py``
opens files in speedscope itself, where that is there.
"""

from __future__ import annotations

from typing import Any

import pytest

from paralab_profiling.profilers import Profile, Tree, Where

UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}
NUMBER = (int, float)
FILE = {"$schema": str, "exporter": str, "name": str, "activeProfileIndex": int} | {
    "shared": dict,
    "profiles": list,
}
RUN = {"type": str, "name": str, "unit": str, "startValue": NUMBER, "endValue": NUMBER} | {
    "samples": list,
    "weights": list,
}
FRAME = {"name": str, "file": str, "line": int}


def types_of(found: dict[str, Any], wanted: dict[str, Any], optional: frozenset[str]) -> None:
    assert set(wanted) - optional <= set(found) <= set(wanted)
    assert all(isinstance(value, wanted[name]) for name, value in found.items())


@pytest.mark.parametrize("unit", ["s", "bytes", "samples"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_everything_that_is_required_is_there_and_of_its_type(unit: str, count: int) -> None:
    tree = Tree()
    for number in range(count):
        tree.add([Where("work", "f.py", 3, "task"), Where(f"f{number}", "f.py", number)], 1.5)
    scope = Profile("t", unit, tree.frames()).to_speedscope()
    types_of(scope, FILE, frozenset())
    assert scope["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = scope["shared"]["frames"]
    for frame in frames:
        types_of(frame, FRAME, frozenset({"line"}))
        assert frame.get("line", 1) >= 1, "lines count from 1"
    [run] = scope["profiles"]
    types_of(run, RUN, frozenset())
    assert (run["type"], run["unit"] in UNITS) == ("sampled", True)
    assert len(run["samples"]) == len(run["weights"]) == count
    assert all(0 <= frame < len(frames) for stack in run["samples"] for frame in stack)
    assert run["endValue"] - run["startValue"] == pytest.approx(sum(run["weights"]))
    assert scope["activeProfileIndex"] < len(scope["profiles"])
