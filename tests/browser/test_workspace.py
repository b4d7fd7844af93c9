"""The workspace of binder/: the first notebook, with the pictures of two of its cells beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab import TOKEN, WAIT_MS

if TYPE_CHECKING:
    from conftest import Lab

ROOT = Path(__file__).parent.parent.parent


def test_it_opens_the_tour_with_its_pictures(jupyter: Lab) -> None:
    shutil.copytree(ROOT / "notebooks", jupyter.folder / "notebooks")
    subprocess.run(
        [sys.executable, "-m", "jupyter", "lab", "workspaces", "import",
         ROOT / "binder" / "tour.jupyterlab-workspace"],
        env=os.environ | {"HOME": str(jupyter.folder / "home")}, check=True, capture_output=True,
    )  # fmt: skip
    page = jupyter.browser.new_page(viewport={"width": 1500, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{jupyter.address}/lab/workspaces/tour?token={TOKEN}")
    page.wait_for_function(
        "() => document.querySelectorAll('.jp-LinkedOutputView img').length === 2"
    )
    images = page.locator(".jp-LinkedOutputView img")
    titles = [images.nth(at).get_attribute("alt") for at in range(2)]
    assert "12 tasks" in titles[0]
    assert "At most 1 against 2 tasks at a time" in titles[1]
    heading = page.locator(".jp-NotebookPanel h1").first.inner_text()
    assert heading.startswith("Tasks: from a plain function")
    page.close()
