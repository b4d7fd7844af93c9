"""Each notebook runs from top to bottom with nbclient, leaves nothing running, and is in order.

nbval compares the outputs (`make test-notebooks`); here a fresh run shows that no cell fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
# In a process of its own: nbclient keeps sockets and threads for as long as its process lives.
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
"""
CHANGING = ("text/html", "image/svg+xml", "image/png")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


@pytest.mark.slow
@pytest.mark.timeout(150)
@each_notebook
def test_runs_from_top_to_bottom(path: Path) -> None:
    pytest.importorskip("nbclient")
    # Warnings of Jupyter's own packages are not ours to turn into errors.
    done = subprocess.run(
        [sys.executable, "-c", RUN, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=140,
        cwd=path.parent,
    )
    assert done.returncode == 0, done.stderr


@each_notebook
def test_is_in_order(path: Path) -> None:
    cells = cells_of(path)
    assert "".join(cells[0]["source"]).startswith("# "), "the first cell is the title"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1)), "outputs are from one run, top to bottom"
    for cell in code:
        text = json.dumps(cell["outputs"])
        assert str(Path.home() / "x")[:-1] not in text, "no path of one machine in an output"
        assert all(output["output_type"] != "error" for output in cell["outputs"])
        if any(kind in output.get("data", {}) for output in cell["outputs"] for kind in CHANGING):
            tags = cell["metadata"].get("tags", [])
            assert "nbval-ignore-output" in tags, "pictures differ from run to run"
    for cell in cells:
        if cell["cell_type"] == "markdown":
            assert len("".join(cell["source"]).split()) <= 130, "".join(cell["source"])[:60]
