"""``timeline``: the tasks of all processes, nested ones too."""

from __future__ import annotations

import json
from pathlib import Path

import paralab


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
