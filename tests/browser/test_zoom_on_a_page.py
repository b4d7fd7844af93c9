"""A click on a frame of a saved profile draws what is below it in the whole width; no kernel."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paralab_profiling import Profile, flame, icicle, sunburst
from paralab_profiling.profilers import Tree, Where

# Stands in for the clipboard, which a page from a file may not write to.
CLIPBOARD = """Object.defineProperty(navigator, "clipboard", { value: {
    writeText: async (text) => { window.copied = text } } })"""
EVIL = "<img src=x onerror=alert(1)>"
pytestmark = pytest.mark.slow


def profile() -> Profile:
    """Below ``nearest`` stand 50 functions that are too small to be drawn with the whole."""
    clean, nearest = Where("clean", "clean.py", 3, "task"), Where("nearest", "clean.py", 14)
    tree = Tree()
    tree.add([clean], 0.98, 8)
    tree.add([clean, nearest], 0.001)
    for number in range(20):
        tree.add([clean, nearest, Where(f"tiny{number}", "clean.py", 100 + number)], 0.0005)
    tree.add([clean, Where(EVIL, "x.py", 1)], 0.1)
    return Profile("cprofile", "s", tree.frames())


@pytest.fixture(params=[icicle, flame, sunburst], ids=["icicle", "flame", "sunburst"])
def page(chromium: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    file = request.param(profile()).save(tmp_path / "page.html")
    page = chromium.new_page(viewport={"width": 820, "height": 900})
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.add_init_script(CLIPBOARD)
    page.goto(file.as_uri())
    yield page
    page.close()
    assert errors == []


def shown(page: Any) -> set[str]:
    """The first word of what hovering tells of each mark."""
    tips = page.locator("svg .pl-frames [data-task] title").all_text_contents()
    return {tip.split(" ")[0].rstrip(":") for tip in tips} - {"all", ""}


def told(page: Any) -> str:
    return str(page.locator(".pl-tell").inner_text())


def key_of(page: Any, name: str) -> str:
    marks = page.locator("svg .pl-frames [data-task]")
    found: list[str] = marks.evaluate_all(
        "(marks, name) => marks.filter((mark) => mark.querySelector('title')?.textContent"
        ".startsWith(name)).map((mark) => mark.dataset.task)",
        name,
    )
    return found[0]


def click(page: Any, key: str) -> None:
    """On the mark itself, where nothing else lies above it."""
    mark = page.locator(f'svg .pl-frames [data-task="{key}"]')
    mark.dispatch_event("pointerdown", {"button": 0, "bubbles": True})
    mark.dispatch_event("pointerup", {"button": 0, "bubbles": True})


def test_a_click_shows_what_was_too_small_and_a_second_one_leads_out(page: Any) -> None:
    before = shown(page)
    assert before == {"clean", "nearest", "<img"}
    nearest = key_of(page, "nearest")
    click(page, nearest)
    assert {f"tiny{number}" for number in range(20)} <= shown(page)
    assert "<img" not in shown(page)
    assert "nearest" in told(page)
    assert "clean.py:14" in told(page)
    click(page, key_of(page, "tiny7"))
    assert "tiny7" in told(page)
    assert "tiny8" not in shown(page)
    click(page, key_of(page, "tiny7"))
    assert {"tiny7", "tiny8"} <= shown(page), "out to what called it"
    page.locator("svg.pl").dispatch_event("dblclick")
    assert shown(page) == before


def test_keys_and_the_menu_lead_in_and_out(page: Any) -> None:
    before, nearest = shown(page), key_of(page, "nearest")
    page.locator("svg.pl").focus()
    for _ in range(6):
        page.keyboard.press("ArrowDown")
        if "nearest" in told(page):
            break
    page.keyboard.press("Enter")
    assert "tiny3" in shown(page)
    if page.locator("svg .pl-frames > rect").count():
        wide = page.locator(f'svg .pl-frames > [data-task="{nearest}"]').get_attribute("width")
        assert float(wide) > 720
        assert "clean" in shown(page), "what is above stays in sight"
    else:
        assert page.locator("svg .pl-frames > circle title").text_content().startswith("nearest")
    page.keyboard.press("ArrowRight")
    assert "tiny" in told(page)
    page.keyboard.press("Escape")
    assert (shown(page), told(page)) == (before, "")
    click(page, nearest)
    assert shown(page) != before
    page.locator(".pl-menu summary").click()
    page.get_by_role("button", name="show all frames").click()
    assert shown(page) == before


def copied(page: Any) -> ET.Element:
    """What "copy as SVG" puts on the clipboard, read again."""
    page.evaluate("() => { window.copied = null }")
    page.locator(".pl-menu").evaluate("(menu) => { menu.open = true }")
    page.get_by_role("button", name=re.compile("copy as SVG|copied")).click()
    page.wait_for_function("() => window.copied")
    return ET.fromstring(page.evaluate("() => window.copied"))


def test_what_is_seen_is_copied(page: Any) -> None:
    def marks(root: ET.Element) -> set[str]:
        return {each.get("data-task", "") for each in root.iter()} - {""}

    whole = copied(page)
    click(page, key_of(page, "nearest"))
    near = copied(page)
    seen = page.locator("svg .pl-frames [data-task]").evaluate_all(
        "(marks) => marks.map((mark) => mark.dataset.task)"
    )
    assert marks(near) == {*seen} != marks(whole)
    assert near.get("viewBox") == page.locator("svg.pl").get_attribute("viewBox")
    assert (near.get("role"), near.get("tabindex")) == (whole.get("role"), None)
    assert not [each for each in near.iter() if each.get("class") == "pl-selected"]
    page.locator("svg.pl").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("+")
    width = float(copied(page).get("viewBox", "").split()[2])
    assert width == pytest.approx(0.8 * 760)
    page.locator("svg.pl").focus()
    page.keyboard.press("0")
    assert ET.tostring(copied(page)) == ET.tostring(whole)
