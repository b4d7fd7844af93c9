"""A picture on a page: an image without scripts, and with them something to point at; no kernel."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import pending, recording, task

from paralab_profiling import Recording, Source, overhead, task_graph, timeline

VIEWS = {"timeline": timeline, "graph": task_graph, "overhead": overhead}
EVIL = "<img src=x onerror=alert(1)>"


def run() -> Recording:
    source = Source("work.py", 3, "def load(x):\n    return x < 2  # </script>")
    return replace(
        recording(
            task("2.1", 1, 20, name="load"),
            task("2.2", 3, 15, name="load", worker=3),
            task("2.3", 22, 40, name=EVIL, needs=("2.1", "2.2")),
            task("2.4", 45, 60, name="save", needs=("2.3",), failed=True, state="failed"),
            pending("2.5", 50, "waiting", name="last", needs=("2.4",)),
            sources={"load": source},
        ),
        session="a session",
    )


@pytest.fixture
def page(chromium: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page with the timeline, the graph and the overhead of one run, in light or in dark."""
    scheme = getattr(request, "param", "light")
    body = "<hr>".join(view(run()).to_html() for view in VIEWS.values())
    style = "<style>body{color-scheme:light dark;background:Canvas;color:CanvasText}</style>"
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{style}{body}")
    page = chromium.new_page(viewport={"width": 820, "height": 1400}, color_scheme=scheme)
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    page.close()
    assert errors == []


def mark(page: Any, task_id: str, picture: int = 0) -> Any:
    return page.locator(".pl-picture").nth(picture).locator(f'svg [data-task~="{task_id}"]').first


def told(page: Any, picture: int = 0) -> str:
    return str(page.locator(".pl-tell").nth(picture).inner_text())


def outlined(page: Any) -> int:
    """In how many pictures a task is outlined."""
    return int(page.locator(".pl-selected:has(rect)").count())


def test_a_click_selects_in_every_picture_and_tells_where_it_was(page: Any) -> None:
    mark(page, "2.1").click()
    assert outlined(page) >= 2
    assert "load (2.1)" in told(page)
    assert "work.py:3" in told(page)
    assert "return x < 2  # </script>" in told(page)
    assert told(page, 1) == ""
    mark(page, "2.3", 1).click()
    assert told(page) == ""
    assert f"{EVIL} (2.3)" in told(page, 1)
    assert page.locator(".pl-tell img").count() == 0


def test_keys_walk_along_dependencies(page: Any) -> None:
    mark(page, "2.1").click()
    for key, task_id in (
        ("ArrowRight", "2.3"), ("ArrowRight", "2.4"), ("ArrowLeft", "2.3"), ("ArrowLeft", "2.1"),
        ("ArrowLeft", "2.1"), ("ArrowUp", "2.2"), ("ArrowDown", "2.1"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert f"({task_id})" in told(page), key
    page.keyboard.press("Escape")
    assert (outlined(page), told(page)) == (0, "")


def test_zoom_pan_and_back(page: Any) -> None:
    svg = page.locator(".pl-picture svg").first

    def view() -> list[float]:
        return [float(part) for part in svg.get_attribute("viewBox").split()]

    whole = view()
    box = svg.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    assert view() == whole, "without Ctrl the page scrolls"
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function("() => !document.querySelector('.pl-picture svg')"
                           ".getAttribute('viewBox').startsWith('0 0 760 ')")  # fmt: skip
    near = view()
    assert near[2] == pytest.approx(whole[2] / 2.718, rel=0.01)
    assert near[0] + near[2] / 2 == pytest.approx(380, abs=2), "what was pointed at stays there"
    page.mouse.down()
    page.mouse.move(x + 100, y)
    page.mouse.up()
    assert view()[0] == pytest.approx(near[0] - 100 * near[2] / box["width"], abs=1)
    assert outlined(page) == 0, "a drag is no click"
    page.mouse.dblclick(x, y)
    assert view() == whole


def test_the_menu(page: Any) -> None:
    first = page.locator(".pl-picture").first
    first.locator(".pl-menu summary").click()
    labels = first.locator(".pl-menu button").all_inner_texts()
    assert labels == ["copy as SVG", "as a table", "open in Perfetto"]
    table = first.locator("details:has(table) table")
    assert not table.is_visible()
    first.get_by_role("button", name="as a table").click()
    assert table.is_visible()


PERFETTO = """<script>addEventListener("message", (event) => {
    if (event.data === "PING") event.source.postMessage("PONG", "*"); else window.got = event.data;
})</script>"""


def test_perfetto_gets_the_trace_when_it_is_asked_for_and_nobody_else_is_asked(page: Any) -> None:
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.context.route(
        "https://ui.perfetto.dev/**",
        lambda route: route.fulfill(body=PERFETTO, content_type="text/html"),
    )
    page.locator(".pl-menu summary").first.click()
    with page.expect_popup() as opening:
        page.get_by_role("button", name="open in Perfetto").first.click()
    there = opening.value
    there.wait_for_function("() => window.got")
    packed = there.evaluate("() => [...new Uint8Array(got.perfetto.buffer)]")
    trace = json.loads(gzip.decompress(bytes(packed)))
    names = {event["name"] for event in trace["traceEvents"]}
    assert {"load", "save"} <= names
    assert {url.rstrip("/") for url in asked} == {"https://ui.perfetto.dev"}
    there.close()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_ink_and_paper_follow_the_reader(page: Any, request: Any, tmp_path: Path) -> None:
    light, dark = (
        ("rgb(31, 35, 40)", "rgb(255, 255, 255)"),
        ("rgb(230, 237, 243)", "rgb(17, 20, 23)"),
    )
    script = """node => [getComputedStyle(node).fill,
        getComputedStyle(node.parentNode.querySelector(':scope > rect')).fill]"""
    found = page.locator(".pl-picture svg > text.h").first.evaluate(script)
    assert tuple(found) == (dark if "dark" in request.node.name else light)
    mark(page, "2.3").click()
    page.screenshot(path=str(tmp_path / "page.png"))


def test_without_scripts_it_is_an_image_and_a_table(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<meta charset=utf-8>" + timeline(run()).to_html())
    page = chromium.new_page(java_script_enabled=False)
    page.goto((tmp_path / "page.html").as_uri())
    image = page.locator("img")
    assert image.get_attribute("alt") == timeline(run()).title
    assert image.bounding_box()["height"] > 100
    assert page.locator("summary").inner_text() == "as a table"
    page.close()
