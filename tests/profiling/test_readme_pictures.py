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
from readme_program import TASKS, add, count_hits, loads_and_merge, program, work

import paralab
from paralab.engine import current
from paralab_profiling import (
    Picture,
    Recording,
    aggregate,
    explain,
    flame,
    icicle,
    overhead,
    profile,
    record,
    speedup,
    task_graph,
    timeline,
)
from paralab_profiling.live.cluster import ask_facts, state_of

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


def test_aggregation(folder: Path) -> None:
    paralab.init(num_cpus=2)
    try:
        found = aggregate(add, range(8))
    finally:
        paralab.shutdown()
    kept(found.picture, folder, "chain_and_tree")


def test_cluster(folder: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    @paralab.remote
    def read(path: str) -> str:
        return Path(path).read_text()

    @paralab.remote
    class Counter:
        def add(self, amount: int) -> int:
            return amount

    paralab.init(num_cpus=2)
    try:
        counter: Any = Counter.remote()
        assert paralab.get(counter.add.remote(2)) == 2
        kept_there = paralab.put(bytes(20_000_000))
        waits = read.remote(str(gate))
        with open(gate, "w") as writer:  # opens when the task does
            before = ask_facts(current())  # CPU use is a difference
            state = state_of(ask_facts(current()), before)
            writer.write("go")
        assert paralab.get(waits) == "go"
        title = kept(state.picture(), folder, "cluster")
        del kept_there
    finally:
        paralab.shutdown()
    assert "1 actor" in title


def test_profiles(folder: Path) -> None:
    pytest.importorskip("pyinstrument")
    pytest.importorskip("numpy")
    paralab.init(num_cpus=2)
    try:
        with profile(tool="pyinstrument") as times:
            paralab.get([paralab.remote(count_hits).remote(100_000) for _ in range(8)])
        with profile(tool="cprofile") as counted:
            paralab.get([paralab.remote(count_hits).remote(20_000) for _ in range(8)])
        with profile(tool="peak") as memory:
            loads_and_merge()
    finally:
        paralab.shutdown()
    assert "over 8 tasks" in kept(flame(times.result), folder, "flame")
    assert "over 8 tasks" in kept(icicle(counted.result), folder, "icicle")
    assert counted.calls("is_inside") == 8 * 20_000
    assert "merge peaks at" in kept(memory.result.picture, folder, "peaks")


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
