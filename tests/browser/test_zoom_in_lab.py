"""Zoom in JupyterLab: clicks and keys reach the picture, and no shortcut of JupyterLab."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab import command, notebook, opened, run_cell

SHOW = """\
from IPython.display import display
from paralab_profiling import Profile, flame, icicle, sunburst
from paralab_profiling.profilers import Tree, Where
clean, nearest = Where("clean", "clean.py", 3, "task"), Where("nearest", "clean.py", 14)
tree = Tree()
tree.add([clean], 0.98, 8)
tree.add([clean, nearest], 0.02)
for number in range(20):
    tree.add([clean, nearest, Where(f"tiny{number}", "clean.py", 100 + number)], 0.0005)
found = Profile("cprofile", "s", tree.frames())
for draw in (icicle, flame, sunburst):
    display(draw(found))
"""
COPIED = """() => { Object.defineProperty(navigator, "clipboard", { value: {
    writeText: async (text) => { window.copied = text } } }) }"""


def tips(picture: Any) -> str:
    """What hovering tells of all marks that are drawn."""
    return " ".join(picture.locator(".pl-frames [data-task] title").all_text_contents())


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_keys_and_clicks_lead_in_and_out(jupyter: Any, theme: str) -> None:
    name = f"zoom-{theme[-5:].strip()}"
    path = jupyter.folder / f"{name}.ipynb"
    notebook(path, SHOW)
    page = opened(jupyter.browser, jupyter.address, path.name)
    command(page, "apputils:change-theme", theme=theme)
    page.wait_for_function(
        "(is) => document.body.dataset.jpThemeLight === String(is)", arg=theme.endswith("Light")
    )
    page.evaluate(COPIED)
    run_cell(page, 0)
    page.wait_for_function("() => document.querySelectorAll('.pl-picture svg.pl').length === 3")
    cells = len(json.loads(path.read_text())["cells"])
    for at in range(3):
        picture = page.locator(".pl-picture").nth(at)
        svg = picture.locator("svg.pl")
        before = tips(picture)
        assert "tiny3" not in before
        svg.focus()
        page.keyboard.press("Escape")  # what was chosen in one picture of a run is so in all
        for _ in range(4):
            page.keyboard.press("ArrowDown")
            if "nearest" in picture.locator(".pl-tell").inner_text():
                break
        page.keyboard.press("Enter")
        assert "tiny3" in tips(picture), "Enter goes into the frame"
        picture.locator(".pl-menu").evaluate("(menu) => { menu.open = true }")
        picture.get_by_role("button", name="copy as SVG").click()
        page.wait_for_function("() => window.copied?.includes('tiny3')")
        page.evaluate("() => { window.copied = '' }")
        picture.locator(".pl-menu").evaluate("(menu) => { menu.open = false }")
        picture.screenshot(path=str(jupyter.folder / f"{name}-{at}.png"))
        svg.focus()
        page.keyboard.press("Escape")
        assert tips(picture) == before, "Esc leads out"
        assert page.evaluate("() => document.activeElement.matches('svg.pl')"), (
            "keys stay with the picture"
        )
        mark = picture.locator(".pl-frames [data-task]", has_text="nearest").first
        mark.dispatch_event("pointerdown", {"button": 0, "bubbles": True})
        mark.dispatch_event("pointerup", {"button": 0, "bubbles": True})
        assert "tiny3" in tips(picture), "so does a click"
        svg.dispatch_event("dblclick")
        assert tips(picture) == before
    shown = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
    assert shown == cells, "no key was a shortcut"
    page.close()
