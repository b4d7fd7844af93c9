"""The live graph folds long runs of equal tasks, as the saved one does."""

from __future__ import annotations

from typing import Any

import pytest
from live_page import page_says
from synthetic import BEGIN, MS, pending, recording, task

from paralab_profiling.live.frames import Frames
from paralab_profiling.live.watched import Watched
from paralab_profiling.palette import Palette
from paralab_profiling.recording import Recording

DRAWN = """
add = () => ({});
const { marks, links, wide } = drawGraph({ setAttribute() {}, style: {} }, known);
return { wide, marks: marks.map(({ x, ids, lines, tip }) => ({ x, ids, lines, tip: tip() })),
  links: links.map(({ x, toX, from, to }) => [x < toX, from, to]) };
"""
pytestmark = pytest.mark.slow


def drawn(*tasks: Any) -> dict[str, Any]:
    run: Recording = recording(*tasks)
    watched = Watched(BEGIN)
    watched.marks = {each.id: each for each in reversed(run.tasks)}  # in any order
    frame = Frames(watched, Palette()).whole(BEGIN + 10_000 * MS)
    found: dict[str, Any] = page_says(frame, DRAWN)
    return found


def chain(count: int, name: str = "step", first: int = 1, needs: str = "") -> list[Any]:
    """Tasks that each take the result of the one before."""
    found = []
    for n in range(first, first + count):
        needs_ = (f"1.{n - 1}",) if n > first else (needs,) if needs else ()
        found.append(task(f"1.{n}", n, n + 0.5, name=name, needs=needs_))
    return found


def heads(found: dict[str, Any]) -> list[str]:
    return [mark["lines"][0] for mark in sorted(found["marks"], key=lambda mark: mark["x"])]


def test_a_chain_of_thousands_is_six_boxes() -> None:
    found = drawn(*chain(1_000))
    assert heads(found) == ["step"] * 3 + ["step ×995"] + ["step"] * 2
    middle = max(found["marks"], key=lambda mark: len(mark["ids"]))
    assert middle["lines"][1] == "995 of 995 done"
    assert middle["tip"].endswith("995 done, 995 steps one after the other")
    assert middle["ids"][0] == "1.4", "which a click selects"
    assert len(found["links"]) == 5
    assert all(forward for forward, _from, _to in found["links"])
    assert len({mark["x"] for mark in found["marks"]}) == 6
    assert found["wide"] < 1_100, "columns that are empty go"


def test_short_runs_and_others_stay() -> None:
    assert heads(drawn(*chain(8))) == ["step"] * 8
    in_turn = [
        task(f"1.{n}", n, n + 0.5, name=f"f{n % 2}", needs=(f"1.{n - 1}",) if n > 1 else ())
        for n in range(1, 31)
    ]
    assert len(drawn(*in_turn)["marks"]) == 30


def test_what_is_as_far_is_folded_and_what_is_taken_by_others_is_not() -> None:
    done = chain(500)
    runs = pending("1.501", 501, "running", name="step", needs=("1.500",))
    waits = [pending(f"1.{n}", n, "queued" if n < 600 else "waiting", name="step",
                     needs=(f"1.{n - 1}",)) for n in range(502, 1_001)]  # fmt: skip
    found = drawn(*done, runs, *waits)
    assert sum(len(mark["ids"]) for mark in found["marks"]) == 1_000
    folds = [mark for mark in found["marks"] if len(mark["ids"]) > 1]
    assert [mark["lines"][1] for mark in folds] == ["494 of 494 done", "0 of 493 done"]
    assert [mark["ids"] for mark in found["marks"]].count(["1.501"]) == 1
    look = task("1.2000", 1_000, 1_001, name="look", needs=("1.250",))
    found = drawn(*done, look)
    sizes = sorted(len(mark["ids"]) for mark in found["marks"])
    assert sizes == [1] * 12 + [244, 245], "in two, at the place that is taken"


def test_wide_chains_fold_step_by_step() -> None:
    rows = []
    for n in range(40):
        rows += [
            task(f"1.{3 * n + at}", n + at / 10, n + 0.5, name="wide",
                 needs=(f"1.{3 * n + at - 3}",) if n else ())
            for at in range(3)
        ]  # fmt: skip
    found = drawn(*rows)
    assert heads(found) == ["wide ×3"] * 3 + ["wide ×105"] + ["wide ×3"] * 2
