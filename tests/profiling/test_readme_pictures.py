"""The pictures that README.md shows, each drawn from a real run of one small program.

``make pictures`` keeps what these tests draw in ``docs/``; else it goes to a temporary folder.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from readme_program import TASKS, program, work

import paralab
from paralab_profiling import (
    Picture,
    Recording,
    explain,
    overhead,
    record,
    speedup,
    task_graph,
    timeline,
)

ROOT = Path(__file__).parents[2]
SHOWN = re.findall(r"docs/(\w+)\.svg", (ROOT / "README.md").read_text())
BY_HAND = {"tasks"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def run() -> Any:
    """The program, recorded in its second run: the first starts the workers."""
    paralab.init(num_cpus=2)
    try:
        program()
        with record("the program") as measured:
            program()
    finally:
        paralab.shutdown()
    return measured.recording


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("PARALAB_PICTURES", tmp_path))


def kept(picture: Picture, folder: Path, name: str) -> str:
    """The picture's file, read again and found to be whole."""
    root = ET.parse(picture.save(folder / f"{name}.svg")).getroot()
    assert root.tag.endswith("svg")
    assert name in SHOWN, f"README.md does not show docs/{name}.svg"
    return picture.title


def test_speed_up(folder: Path) -> None:
    paralab.init(num_cpus=2)
    try:
        found = speedup(work, [0.02] * 8, workers=[1, 2], repeats=5)
    finally:
        paralab.shutdown()
    kept(found.verdict(), folder, "verdict")
    kept(found.curve(), folder, "speedup")


@pytest.mark.parametrize("view", [task_graph, timeline, overhead])
def test_views_of_one_run(view: Any, run: Recording, folder: Path) -> None:
    title = kept(view(run), folder, view.__name__)
    assert re.search(r"\d", title), "the title is a finding with its number"
    assert len(run.tasks) == TASKS


def test_explain(run: Recording, folder: Path) -> None:
    text = str(explain(run))
    (folder / "explain.txt").write_text(text + "\n")
    assert f"{TASKS} tasks" in text


def test_every_picture_is_drawn_by_a_test_or_by_hand() -> None:
    source = Path(__file__).read_text()
    for name in set(SHOWN) - BY_HAND:
        assert (ROOT / "docs" / f"{name}.svg").exists()
        assert f'"{name}"' in source or f"{name}," in source, f"nothing draws docs/{name}.svg"
