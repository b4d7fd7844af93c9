"""A merged profile as pyinstrument's own page and file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paralab_profiling import Profile
from paralab_profiling.profilers import Tree, Where

CLEAN = Where("clean", "clean.py", 3, "task")
LOAD = Where("load", "load.py", 1, "task")
NEAREST = Where("nearest", "clean.py", 14)
NORM = Where("_norm", "numpy/linalg.py", 40, "library")
EVIL = "</script><script>alert(1)<!--"


def profile(*paths: tuple[Where, ...]) -> Profile:
    tree = Tree()
    for path in paths:
        tree.add([path[0]], 0.25, 8)
        tree.add(path, 0.25)
    return Profile("pyinstrument", "s", tree.frames(), samples=40, seconds=1.0)


def read(path: Path) -> Any:
    session = pytest.importorskip("pyinstrument.session")
    return session.Session.load(path)


def test_pyinstrument_reads_the_same_tree(tmp_path: Path) -> None:
    found = profile((CLEAN, NEAREST, NORM), (LOAD, NORM))
    session = read(found.save(tmp_path / "it.pyisession"))
    root = session.root_frame()
    assert root.function == "all tasks"
    assert root.time == pytest.approx(found.total_of_all) == 1.0
    tasks = {each.function: each for each in root.children}
    assert tasks.keys() == {"clean ×8", "load ×8"}
    [nearest] = [each for each in tasks["clean ×8"].children if each.function == "nearest"]
    assert (nearest.file_path, nearest.line_no, nearest.time) == ("clean.py", 14, 0.25)
    assert nearest.is_application_code
    [norm] = [each for each in nearest.children if each.function == "_norm"]
    assert not norm.is_application_code
    assert session.sample_count == 40


def test_one_function_is_the_root(tmp_path: Path) -> None:
    session = read(profile((CLEAN, NEAREST)).save(tmp_path / "it.pyisession"))
    assert session.root_frame().function == "clean ×8"


def test_the_page_stands_by_itself_and_names_stay_text(tmp_path: Path) -> None:
    pytest.importorskip("pyinstrument")
    found = profile((Where(EVIL, EVIL, 1, "task"), NEAREST, Where("ok\0\x01", "", 0, "library")))
    page = found.save(tmp_path / "it.pyinstrument.html").read_text()
    plain = profile((CLEAN, NEAREST)).save(tmp_path / "other.pyinstrument.html").read_text()
    assert page.count("</script") == plain.count("</script")
    assert page.count("<!--") == plain.count("<!--")
    assert "nearest" in page
    assert "alert(1)" in page


def test_what_pyinstrument_cannot_show_is_refused(tmp_path: Path) -> None:
    for ending in ("pyisession", "pyinstrument.html"):
        with pytest.raises(ValueError, match="in bytes"):
            Profile("fil", "bytes", ()).save(tmp_path / f"it.{ending}")
        with pytest.raises(ValueError, match="Nothing was measured"):
            Profile("cprofile", "s", ()).save(tmp_path / f"it.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = profile((CLEAN, NEAREST)).save(tmp_path / "it.pyisession")
    records = json.loads(path.read_text())["frame_records"]
    assert [seconds for _, seconds in records] == [0.25, 0.25]
    assert [len(stack) for stack, _ in records] == [1, 2]
