"""``%%profile``, in an IPython shell of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("IPython", reason="the magics need IPython, which is not installed")
from test_magics import Notebook, notebook

__all__ = ["notebook"]
pytestmark = pytest.mark.slow


@pytest.fixture
def running(notebook: Notebook, runtime: Any) -> Iterator[Notebook]:
    """With a session of two CPUs and a task."""
    notebook("@paralab.remote\ndef f(n):\n    return sum(len(str(i)) for i in range(n))")
    return notebook


def test_a_cell_keeps_its_value_and_shows_its_profile(running: Notebook, tmp_path: Path) -> None:
    assert running("%%profile cprofile -o p\nx = 3\nparalab.get(f.remote(10)) + x") == 13
    [shown] = running.outputs
    assert "1 task" in shown["text/plain"]
    assert "<img" in shown["text/html"]
    assert running["x"] == 3
    assert running["p"].calls("f") == 1
    assert running["p"].tasks == {"f": 1}
    assert running("%%profile cprofile -o q;\nparalab.get(f.remote(2))") == 2
    assert not running.outputs
    assert running["q"].tasks == {"f": 1}
    assert running("%%profile cprofile\nparalab.get(f.remote(2));") is None


def test_a_cell_that_fails_shows_what_ran_and_its_error(running: Notebook) -> None:
    with pytest.raises(ZeroDivisionError):
        running("%%profile cprofile\nparalab.get(f.remote(5))\n1 / 0")
    assert "1 task" in running.outputs[0]["text/plain"]


def test_the_notebook_s_own_code_on_request(running: Notebook) -> None:
    running("def own():\n    return [abs(i) for i in range(9)]")
    running("%%profile cprofile --driver -o p\nown()\nparalab.get(f.remote(1))")
    assert running["p"].tasks == {"this process": 1, "f": 1}
    assert running["p"].calls("own") == 1


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%profile cprofil\n1", "no profiler 'cprofil'"),
        ("%%profile cprofile\n\n \n", "nothing below"),
        ("%%profile cprofile --interval 1\n1", "no setting 'interval'"),
        ("%%profile cprofile --clock sun\n1", "must be one of: wall, cpu"),
        ("%%profile pyinstrument --clock cpu\n1", "no setting 'clock'"),
        ("%%profile --frob\n1", "frob"),
        ("%%profile -o 1x cprofile\n1", "no name for a variable"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_runs(notebook: Notebook, cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        notebook(cell)
