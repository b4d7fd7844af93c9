"""Live views of many tasks on a page: a canvas with their marks, that answers as the SVG does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paralab_profiling.live.place import widget_module

LEFT, RIGHT = 128, 744
"""Where the time axis of live.js begins and ends."""
SHELL = """<!doctype html><meta charset=utf-8>
<style>:root{color-scheme:light dark;background:Canvas;color:CanvasText;
--jp-ui-font-color1:light-dark(#112233,#ddeeff);
--jp-layout-color0:Canvas}</style><div id=here></div>
<script type=module>
import live from "./live.mjs";
const hear = new Set();
const model = window.model = {
    kind: %s, frame: null,
    get: (name) => model[name],
    on: (_event, act) => hear.add(act),
    off: (_event, act) => hear.delete(act),
    send: (what) => (model.asked = what),
    tell(frame) { model.frame = frame; hear.forEach((act) => act()); },
};
model.frame = %s;
window.forget = live.render({ model, el: document.getElementById("here") });
</script>"""


def frame(tasks: list[Any], **more: Any) -> dict[str, Any]:
    """All that is known of some tasks: [id, function, lane, start, end, state, what it takes]."""
    counts = [["work", "#3b78e0", len(tasks), 0, 0, 0], ["last", "#b07d2b", 0, 0, 0, 0]]
    whole = {
        "n": 0,
        "run": "r",
        "now": 1_000.0,
        "more": 0,
        "lanes": [[2, "worker 1"], [3, "worker 2"]],
    }
    rest = [1, 0.0, 10, 0, 0, "", 500, 5]  # what is told of a selected one, and its parts
    tasks = [[*task, [*rest, *[0] * 5, (task[4] - task[3]) * 1e6, 0, 0]] for task in tasks]
    return whole | {"tasks": tasks, "gone": [], "counts": counts} | more


def wide(count: int) -> list[Any]:
    """Tasks in a row on each of two workers; each takes the result of the one before it."""
    step = 2_000 / count
    return [
        [f"1.{n}", "work", 2 + n % 2, n // 2 * step, (n // 2 + 1) * step, "done",
         [f"1.{n - 2}"] if n > 1 else []]
        for n in range(count)
    ]  # fmt: skip


def deep(count: int) -> list[Any]:
    """A chain of two functions in turn, so that every task has a box of its own."""
    return [
        [f"1.{n}", ("work", "last")[n % 2], 2, n * 0.1, (n + 1) * 0.1, "done",
         [f"1.{n - 1}"] if n else []]
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def shown(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens pages on which a frame is shown."""
    (tmp_path / "live.mjs").write_text(widget_module())
    pages, errors = [], []

    def show(kind: str, tasks: list[Any], **options: Any) -> Any:
        (tmp_path / "page.html").write_text(SHELL % (json.dumps(kind), json.dumps(frame(tasks))))
        page = chromium.new_page(viewport={"width": 820, "height": 600}, **options)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route(
            "**/*",
            lambda route: route.fulfill(path=tmp_path / route.request.url.rpartition("/")[2]),
        )
        page.goto("http://a.test/page.html")
        page.wait_for_function("() => window.forget")
        pages.append(page)
        return page

    yield show
    for page in pages:
        page.close()
    assert errors == []


PIXEL = """([x, y]) => {
    const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect();
    const dots = canvas.width / box.width;
    const draw = canvas.getContext("2d");
    return [...draw.getImageData((x - box.left) * dots, (y - box.top) * dots, 1, 1).data];
}"""


def place_of(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the drawing is on the page."""
    to = page.evaluate("() => { const m = document.querySelector('.pl-live').getScreenCTM();"
                       " return [m.a, m.e, m.f]; }")  # fmt: skip
    return x * to[0] + to[1], y * to[0] + to[2]


def is_blue(page: Any, x: float, y: float) -> bool:
    """Whether there is a mark; thin ones beside each other are not quite its colour."""
    found = page.evaluate(PIXEL, [x, y])
    return max(abs(a - b) for a, b in zip(found, (0x3B, 0x78, 0xE0, 255), strict=True)) < 16


def told(page: Any) -> str:
    return str(page.locator(".pl-tell").inner_text())


def painted(page: Any) -> None:
    """Returns when the canvas has been drawn anew."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


@pytest.mark.parametrize("dots", [1, 2])
def test_many_tasks_are_marks_on_a_canvas_that_answers(
    shown: Any, dots: int, tmp_path: Path
) -> None:
    page = shown("timeline", wide(5_000), device_scale_factor=dots)
    assert page.locator(".pl-live rect[data-task]").count() == 0
    painted(page)
    x, y = place_of(page, LEFT + (RIGHT - LEFT) / 2, 67)
    assert page.evaluate("() => document.querySelector('canvas').width") == dots * page.evaluate(
        "() => document.querySelector('canvas').clientWidth"
    )
    assert is_blue(page, x, y)
    assert page.evaluate(PIXEL, [x, y + 14])[3] == 0, "between the lanes"
    page.mouse.move(x, y)
    page.locator(".pl-hover", has_text="work: 400 µs").wait_for()
    page.mouse.click(x, y)
    page.locator(".pl-selected rect").wait_for(state="attached")
    first = told(page)
    assert "worker 1" in first
    number = int(first.partition("(1.")[2].partition(")")[0])
    assert abs(number - 2_500) < 20
    page.keyboard.press("ArrowLeft")
    assert f"work (1.{number - 2})" in told(page), "what it took"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert f"work (1.{number + 1})" in told(page), "its neighbour"
    page.screenshot(path=str(tmp_path / "timeline.png"))
    page.keyboard.press("Escape")
    assert told(page) == ""
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    for _ in range(5):
        page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(
        "() => Number(document.querySelector('.pl-live').viewBox.baseVal.width) < 100"
    )
    painted(page)
    assert is_blue(page, x, y), "it is zoomed, too"


def test_few_tasks_are_svg_and_it_changes_when_they_become_many(shown: Any) -> None:
    page = shown("timeline", wide(10))
    assert page.locator(".pl-live rect[data-task]").count() == 10
    assert not page.locator("canvas").is_visible()
    page.evaluate("(frame) => window.model.tell(frame)", frame(wide(2_500)))
    page.locator("canvas").wait_for()  # it draws when it has rested
    assert page.locator(".pl-live rect[data-task]").count() == 0
    gone = [task[0] for task in wide(2_500)[10:]]
    page.evaluate("(frame) => window.model.tell(frame)", frame([], n=1, gone=gone))
    page.locator("canvas").wait_for(state="hidden")
    assert page.locator(".pl-live rect[data-task]").count() == 10
    page.evaluate("(frame) => window.model.tell(frame)", frame([], n=9))
    assert page.evaluate("() => window.model.asked") == "whole", "a frame was missed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_graph_of_many_boxes_scrolls_under_the_canvas(
    shown: Any, scheme: str, tmp_path: Path
) -> None:
    page = shown("graph", deep(3_000), color_scheme=scheme)
    painted(page)
    middle = 60 + 22
    x, y = place_of(page, 16 + 20, middle)
    assert is_blue(page, x, y + 20)
    page.mouse.click(x, y)
    assert "work (1.0)" in told(page)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert "work (1.20)" in told(page)
    page.wait_for_function("() => document.querySelector('.pl-picture > div').scrollLeft > 300")
    painted(page)
    x, y = place_of(page, 16 + 20 * 64 + 20, middle)
    assert 0 < x < 820, "it came into view"
    assert is_blue(page, x, y + 20)
    page.screenshot(path=str(tmp_path / f"graph-{scheme}.png"))
    copied = page.evaluate("""async () => {
        let copied = "";
        const value = { writeText: async (text) => (copied = text) };
        Object.defineProperty(navigator, "clipboard", { value });
        document.querySelector(".pl-menu button").click();
        await new Promise((done) => setTimeout(done));
        return copied.match(/data-task/g).length;
    }""")
    assert copied == 3_000


def test_folding_stays(shown: Any) -> None:
    page = shown("graph", [[f"1.{n}", "work", 2, n, n + 1, "done", []] for n in range(5_000)])
    assert page.locator(".pl-live rect[data-task]").count() == 1
    page.get_by_text("work ×5,000").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chain_of_thousands_folds_as_in_the_picture_that_stays(
    shown: Any, scheme: str, tmp_path: Path
) -> None:
    tasks = [
        [f"1.{n}", "work", 2, n, n + 1, "done", [f"1.{n - 1}"] if n else []] for n in range(3_000)
    ]
    page = shown("graph", tasks, color_scheme=scheme)
    assert page.locator(".pl-live rect[data-task]").count() == 6
    middle = page.locator(".pl-live rect[data-task^='1.3 1.4 ']")
    middle.click()
    assert "work (1.3)" in told(page)
    page.keyboard.press("ArrowLeft")
    assert "work (1.2)" in told(page)
    page.get_by_text("work ×2,995").wait_for()
    page.screenshot(path=str(tmp_path / f"chain-{scheme}.png"))


def test_who_wants_less_motion_sees_it_less_often(shown: Any) -> None:
    page = shown("timeline", wide(10), reduced_motion="reduce")
    page.evaluate("(frame) => window.model.tell(frame)", frame(wide(20)))
    assert page.locator(".pl-live rect[data-task]").count() == 10, "not at once"
    page.wait_for_function(
        "() => document.querySelectorAll('.pl-live rect[data-task]').length === 20"
    )
