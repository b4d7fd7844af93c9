"""Of each exercise: the stub fails, the solution passes, wrong answers get the hint that fits.

All through the real checker, in one session.  Those whose check needs a process of its own get
one.  The wrong answers stand in ``wrong_NN.py``, with the kind of mistake that must be found.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from paralab_profiling import Verdict
from paralab_profiling.exercises import shelf
from paralab_profiling.exercises.answers import Piece, read
from paralab_profiling.exercises.judging import judge
from paralab_profiling.exercises.ladders import COMMON, STEPS

PLACES = shelf.places()
each_exercise = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)


def cells_of(place: shelf.Place) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(place.notebook.read_text(encoding="utf-8"))["cells"]
    return cells


def verdict_on(place: shelf.Place, *sources: str) -> Verdict:
    pieces = [*read(place.notebook), *(Piece("answer", source) for source in sources)]
    checker = place.checker()
    if checker.cpus is None or not checker.in_session:
        return judge(place.number, pieces=pieces, seconds=120)
    module = ModuleType("learner")
    for piece in pieces:
        exec(compile(piece.source, piece.place, "exec"), module.__dict__)
    return checker.check(getattr(module, checker.answer))


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_exercise
def test_stub_solution_and_wrong_answers(session: Any, place: shelf.Place) -> None:
    wrong = importlib.import_module(f"wrong_{place.number:02}")
    ladders = {**COMMON, **place.checker().ladders}
    stub = verdict_on(place)
    assert (stub.state, stub.kind) == ("not yet", wrong.STUB), stub
    passed = verdict_on(place, place.solution())
    assert passed.passed, passed
    for source, kind in wrong.WRONG:
        found = verdict_on(place, source)
        assert (found.state, found.kind) == ("not yet", kind), found
        assert [name for name, _ in found.rows][:4] == [
            "measured", "expected", "why it matters", "next",
        ]  # fmt: skip
        assert kind in ladders
    assert len({kind for _, kind in wrong.WRONG}) >= 3


@each_exercise
def test_hints_are_whole_and_short(place: shelf.Place) -> None:
    checker = place.checker()
    assert re.search(rf"^(def|class) {checker.answer}\b", place.solution(), re.MULTILINE)
    for ladder in checker.ladders.values():
        for step in range(1, STEPS):
            assert 5 <= len(ladder.hint(step, "").split()) <= 100
        assert place.solution().strip() in ladder.hint(STEPS, place.solution())


@each_exercise
def test_notebook_is_in_order(place: shelf.Place) -> None:
    cells = cells_of(place)
    assert "".join(cells[0]["source"]).startswith(f"# Exercise {place.number}: ")
    answers = [cell for cell in cells if "answer" in cell["metadata"].get("tags", ())]
    assert len(answers) == 1
    stub = "".join(answers[0]["source"])
    assert re.search(rf"^(def|class) {place.checker().answer}\b", stub, re.MULTILINE)
    source = "\n".join("".join(cell["source"]) for cell in cells)
    assert f"exercise({place.number}).check(" in source
    assert "**What to change:**" in source
    assert "<details>" in source
    for cell in cells:
        assert not cell.get("outputs"), "the learner makes them"
        assert len("".join(cell["source"]).split()) <= 130 or cell["cell_type"] == "code"


@each_exercise
def test_no_solution_by_accident(place: shelf.Place) -> None:
    lines = {line.strip() for line in place.solution().splitlines() if len(line.strip()) > 30}
    ladders = place.checker().ladders.values()
    visible = place.notebook.read_text("utf-8")
    visible += "".join(each.hint(step, "") for each in ladders for step in range(1, STEPS))
    stub = {line.strip() for p in read(place.notebook) for line in p.source.splitlines()}
    assert not [line for line in lines - stub if line in visible]


def test_they_are_numbered_by_their_folders() -> None:
    assert [int(place.name[:2]) for place in PLACES] == [place.number for place in PLACES]
    assert len({place.title() for place in PLACES}) == len(PLACES)
    assert Path(shelf.home()).name == "exercises"
