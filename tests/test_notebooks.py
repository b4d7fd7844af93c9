"""Each notebook runs from top to bottom with nbclient, leaves nothing running, and is in order.

nbval compares the outputs (`make test-notebooks`); here a fresh run shows that no cell fails, that
each exercise's stub fails its check and its solution passes, and that programs with a known mistake
get the message that names it (`wrong_attempts.py`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leak_check import descendants
from wrong_attempts import WRONG

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
# In a process of its own: nbclient keeps sockets and threads for as long as its process lives.
# The last cell ends the session, so the wrong attempts go before it.
RUN = """
import json, sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
for source in json.loads(sys.argv[2]):
    notebook.cells.insert(-1, nbformat.v4.new_code_cell(source, metadata={"tags": ["wrong"]}))
nbclient.NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
said = [
    (tag, output["data"]["text/plain"])
    for cell in notebook.cells
    for tag in cell.metadata.get("tags", ())
    if tag in ("stub", "solution", "wrong")
    for output in cell.outputs
    if "data" in output
]
print(json.dumps(said))
"""
WIDGET = "application/vnd.jupyter.widget-view+json"
DRAWING = re.compile(r"base64,([\w+/=]+)")
CHANGING = ("text/html", "image/svg+xml", "image/png")

MEMORY = 1_000 << 20
"""Of the 2 GB that Binder gives, JupyterLab and a second notebook take their part."""

TO_COME: set[str] = set()
"""Numbers of the tour that have no notebook yet."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def cells_with(path: Path, tag: str) -> list[dict[str, Any]]:
    return [cell for cell in cells_of(path) if tag in cell["metadata"].get("tags", ())]


@contextmanager
def memory_of(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """The most bytes that a process had, with all that it started; looked at now and then."""
    peak = [0]

    def look() -> None:
        while process.poll() is None:
            pids = [process.pid, *descendants(process.pid)]
            peak[0] = max(peak[0], sum(map(resident, pids)))
            ended.wait(0.2)

    ended = threading.Event()
    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield peak
    finally:
        ended.set()
        looker.join()


def resident(pid: int) -> int:
    """Bytes of memory that a process has: its own, and its share of what others have too."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    return (
        sum(int(kilobytes) for kilobytes in re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)) << 10
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_notebook
def test_runs_from_top_to_bottom(path: Path) -> None:
    pytest.importorskip("nbclient")
    wrong = WRONG.get(path.stem, ())
    # Warnings of Jupyter's own packages are not ours to turn into errors.
    command = [
        sys.executable,
        "-c",
        RUN,
        str(path),
        json.dumps([source for source, _title in wrong]),
    ]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent
        ) as running,
        memory_of(running) as peak,
    ):
        out, err = running.communicate(timeout=580)
    assert running.returncode == 0, err
    assert 0 < peak[0] < MEMORY
    said = json.loads(out)
    for tag in ("stub", "solution"):
        assert sum(each == tag for each, _ in said) == len(cells_with(path, tag))
    for tag, text in said:
        if tag == "stub":
            assert text.startswith("Not yet"), text
        elif tag == "solution":
            assert text.startswith("Passed, solution"), text
    titles = [text.splitlines()[0] for tag, text in said if tag == "wrong"]
    titles = [re.sub(r"\(.*\)", "(...)", title) for title in titles]  # arguments are random
    assert titles == [title for _source, title in wrong]


@each_notebook
def test_is_in_order(path: Path) -> None:
    cells = cells_of(path)
    assert "".join(cells[0]["source"]).startswith("# "), "the first cell is the title"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1)), "outputs are from one run, top to bottom"
    for cell in code:
        text = DRAWING.sub(lambda found: b64decode(found[1]).decode(), json.dumps(cell["outputs"]))
        for folder in (Path.home(), Path(tempfile.gettempdir()), Path(__file__).parent.parent):
            assert f"{folder}{os.sep}" not in text, "no path of one machine in an output"
        assert WIDGET not in text, "a saved widget shows an error: see .ci/run_notebooks.py"
        assert all(output["output_type"] != "error" for output in cell["outputs"])
        if any(kind in output.get("data", {}) for output in cell["outputs"] for kind in CHANGING):
            tags = cell["metadata"].get("tags", [])
            assert "nbval-ignore-output" in tags, "pictures differ from run to run"
    for cell in cells:
        if cell["cell_type"] == "markdown":
            assert len("".join(cell["source"]).split()) <= 130, "".join(cell["source"])[:60]


@each_notebook
def test_links_to_other_notebooks_lead_somewhere(path: Path) -> None:
    text = "".join(
        "".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown"
    )
    for linked in re.findall(r"\]\(([\w.]+)\)", text):
        assert (path.parent / linked).is_file(), linked


def test_the_list_of_notebooks_has_them_all_in_order() -> None:
    rows = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| \[\w+\]\((\w+\.ipynb)\)", rows) == [p.name for p in NOTEBOOKS]


def test_the_tour_has_all_its_numbers() -> None:
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert len(numbers) == len(set(numbers)), "two notebooks have one number"
    missing = {f"{number:02}" for number in range(20)} - set(numbers)
    assert missing <= TO_COME, f"missing: {sorted(missing - TO_COME)}"


@each_notebook
def test_mentions_only_notebooks_that_are_there(path: Path) -> None:
    text = " ".join(
        "".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown"
    )
    mentioned = set(re.findall(r"[Nn]otebook (\d\d)\b", text))
    assert mentioned <= {other.stem[:2] for other in NOTEBOOKS}


@each_notebook
def test_predictions_and_exercises_are_in_order(path: Path) -> None:
    cells = cells_of(path)
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    asked = sum(" = predict(" in source for source in code)
    assert sum(".outcome(" in source for source in code) == asked, "each has its result"
    for cell in cells:
        source, metadata = "".join(cell["source"]), cell["metadata"]
        hidden = metadata.get("jupyter", {})
        if cell["cell_type"] == "code" and ".outcome(" in source:
            assert hidden.get("outputs_hidden"), "nobody sees the answer before the question"
            assert cell["outputs"][0]["text"] == ["Predict first, then run this cell.\n"]
        if cell["cell_type"] == "code" and " = predict(" in source:
            assert hidden.get("source_hidden"), "it has the replies"
        if {"solution", "check-setup"} & set(metadata.get("tags", ())):
            assert hidden.get("source_hidden"), "folded until somebody asks for it"
    assert len(cells_with(path, "stub")) == len(cells_with(path, "solution"))
    if path.stem != "01_tasks":  # it came before both
        assert asked
        assert cells_with(path, "stub")
        assert {path.stem} <= WRONG.keys()
        words = [word for c in cells if c["cell_type"] == "markdown" for word in c["source"]]
        assert 500 <= len("".join(words).split()) <= 850
