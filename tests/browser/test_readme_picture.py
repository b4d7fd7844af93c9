"""The picture of a cell that runs, as README.md shows it: from JupyterLab, while tasks run.

``make pictures`` keeps it in ``docs/``; else it goes to a temporary folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lab import command, notebook, opened

ROOT = Path(__file__).parents[2]
START = """\
import time
import paralab
%load_ext paralab
paralab.init(num_cpus=2)
@paralab.remote
def load(part):
    time.sleep(0.3 + 0.1 * part)
    print("part", part, "is loaded")
    return part
@paralab.remote
def clean(part, row):
    time.sleep(0.04 + 0.005 * (row % 4))
    return part + row
@paralab.remote
def merge(*rows):
    if rows:
        with open({gate!r}) as opened:
            opened.read()
    return sum(rows)
paralab.get([load.remote(0), merge.remote()])  # the workers are there
"""
SHOWN = """\
%%timeline --live
parts = [load.remote(part) for part in range(4)]
rows = [clean.remote(part, row) for part in parts for row in range(12)]
paralab.get(merge.remote(*rows))"""


def test_a_cell_that_runs(jupyter: Any, tmp_path: Path) -> None:
    gate = jupyter.folder / "gate"
    os.mkfifo(gate)
    notebook(jupyter.folder / "readme.ipynb", START.format(gate=str(gate)), SHOWN)
    page = opened(jupyter.browser, jupyter.address, "readme.ipynb")
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.get_by_text("52 of 53 tasks done, 1 running").wait_for()
    live.focus()
    page.keyboard.press("ArrowDown")  # the first one
    facts = page.locator(".pl-tell").first
    for text in ("load (", "is loaded", "def load(part):"):
        facts.get_by_text(text).first.wait_for()
    page.evaluate("() => document.activeElement.blur()")
    # Without the picture beside it, which is there for those who open the file meanwhile.
    page.add_style_tag(
        content=".jp-OutputArea-child:not(:has(.pl-live)), .jp-Toolbar { display: none }"
    )
    folder = Path(os.environ.get("PARALAB_PICTURES", tmp_path))
    page.locator(".jp-CodeCell").nth(1).screenshot(path=str(folder / "live.png"))
    with gate.open("w") as opened_gate:
        opened_gate.write("go")
    live.wait_for(state="detached")
    page.close()
    assert (folder / "live.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / "live.png").stat().st_size < 300_000
    assert "docs/live.png" in (ROOT / "README.md").read_text()
    assert (ROOT / "docs" / "live.png").exists()
