"""A profile's speedscope file in speedscope itself: opens without complaint, with the same figures.

Speedscope is a page without a server, which npm's package holds; no wheel does.  So this runs where
the package is: in ``node_modules`` (``npm install --no-save speedscope@1.25.0``), or in the folder
that ``SPEEDSCOPE`` names.  What every machine tests is ``tests/profiling/test_speedscope_file.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from lab import ROOT, WAIT_MS

from paralab_profiling.profilers import Profile, Tree, Where

PACKAGE = Path(os.environ.get("SPEEDSCOPE", ROOT / "node_modules" / "speedscope"))
RELEASE = PACKAGE / "dist" / "release"
pytestmark = pytest.mark.skipif(
    not (RELEASE / "index.html").exists(),
    reason="speedscope is not there: npm install --no-save speedscope@1.25.0",
)
_ROWS = (
    "() => [...document.querySelectorAll('tr')].map(row => [...row.cells].map(c => c.innerText))"
)


@pytest.fixture(scope="module")
def page(chromium: Any) -> Iterator[Any]:
    found = chromium.new_page()
    found.set_default_timeout(WAIT_MS)
    found.context.route(
        lambda url: not url.startswith(("file:", "data:", "blob:")), lambda route: route.abort()
    )
    yield found
    found.close()


def opened(page: Any, path: Path) -> list[list[str]]:
    """The rows of speedscope's table, after it has opened a file."""
    said: list[str] = []

    def heard(dialog: Any) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", heard)
    page.goto((RELEASE / "index.html").as_uri())
    page.set_input_files("input[type=file]", str(path))
    page.get_by_text("Sandwich").click()
    page.wait_for_function("() => document.querySelectorAll('tr').length > 1")
    rows: list[list[str]] = page.evaluate(_ROWS)
    assert said == []
    return rows


def test_functions_have_the_times_that_they_have_here(page: Any, tmp_path: Path) -> None:
    tree = Tree()
    work, add = Where("work", "f.py", 3, "task"), Where("add", "f.py", 9)
    tree.add([work], 0.25, 4)
    tree.add([work, add], 0.5)
    tree.add([Where("threads of work", "", 0, "task"), add], 0.25)
    found = Profile("pyinstrument", "s", tree.frames(), {1: 4}, seconds=0.75, samples=9)
    head, *rows = opened(page, found.save(tmp_path / "run.speedscope.json"))
    assert head == ["Total", "Self", "Symbol Name"]
    assert {name: (total, own) for total, own, name in rows} == {
        "add": ("750.00ms (75%)", "750.00ms (75%)"),
        "work": ("750.00ms (75%)", "250.00ms (25%)"),
        "threads of work": ("250.00ms (25%)", "0.00ns (<0.01%)"),
    }


@pytest.mark.parametrize("unit", ["bytes", "samples"])
def test_every_unit_opens(page: Any, tmp_path: Path, unit: str) -> None:
    tree = Tree()
    tree.add([Where("work", "f.py", 3, "task"), Where("add", "f.py", 9)], 4096.0)
    found = Profile("memray", unit, tree.frames())
    rows = opened(page, found.save(tmp_path / "run.speedscope.json"))
    assert {row[2] for row in rows[1:]} == {"work", "add"}


def test_hostile_names_are_text(page: Any, tmp_path: Path) -> None:
    tree = Tree()
    for payload in PAYLOADS:
        tree.add([Where(payload, payload, 1)], 0.1)
    found = Profile("sampler", "s", tree.frames())
    rows = opened(page, found.save(tmp_path / "run.speedscope.json"))
    scope = json.loads((tmp_path / "run.speedscope.json").read_text())
    # It draws the rows that are in view; opened() has seen that no script has spoken.
    shown = {" ".join(name.split()) for _, _, name in rows[1:]}
    assert len(shown) > 20
    assert shown <= {" ".join(each["name"].split()) for each in scope["shared"]["frames"]}


def test_the_published_schema_finds_nothing_wrong(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((RELEASE / "file-format-schema.json").read_text())
    for unit in ("s", "bytes", "samples"):
        tree = Tree()
        tree.add([Where("work", "f.py", 3, "task"), Where("built in")], 1.5)
        jsonschema.validate(Profile("t", unit, tree.frames()).to_speedscope(), schema)
    jsonschema.validate(Profile("t", "s", ()).to_speedscope(), schema)
