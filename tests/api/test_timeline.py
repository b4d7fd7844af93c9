"""``timeline``: the tasks of all processes, nested ones too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import paralab
from paralab.chrome_trace import as_json


def spans(events: list[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for event in events:
        if event["ph"] == "X":
            found.setdefault(str(event["name"]).rpartition(".")[2], []).append(event)
    return found


def test_nested_tasks_are_in_it(engine: str) -> None:
    @paralab.remote
    def timeline_leaf() -> int:
        return 1

    @paralab.remote
    def timeline_branch() -> int:
        return sum(paralab.get([timeline_leaf.remote() for _ in range(3)]))

    assert paralab.get([timeline_branch.remote() for _ in range(2)]) == [3, 3]
    found = spans(paralab.timeline() or [])
    assert len(found["timeline_branch"]) == 2
    assert len(found["timeline_leaf"]) == 6


def test_a_file(engine: str, tmp_path: Path) -> None:
    @paralab.remote
    def timeline_once() -> None:
        pass

    paralab.get(timeline_once.remote())
    path = tmp_path / "trace.json"
    assert paralab.timeline(str(path)) is None
    (event,) = spans(json.loads(path.read_text()))["timeline_once"]
    assert event["cat"] == "task"
    assert float(str(event["dur"])) >= 0


@pytest.mark.parametrize("name", ["a", "ends\\", "\\\\", '\\"', "é 🌳", '"', "\\", "line\n"])
def test_text_that_perfetto_reads(name: str) -> None:
    text = as_json([{"name": name, name: 1}])
    assert text.isprintable()
    assert "\\u" not in text
    assert not re.search(r'\\\\"[,:}]', text)
    (event,) = json.loads(text)
    assert event["name"].removesuffix(" ") == name
    assert len(event) == 2


def test_half_a_character() -> None:
    assert json.loads(as_json(["half \ud800"])) == ["half ?"]
