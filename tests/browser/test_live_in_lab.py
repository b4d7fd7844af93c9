"""Live views in JupyterLab: they follow the tasks, answer while the cell is blocked, and leave."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from lab import WAIT_MS, command, notebook, opened, run_cell

START = """\
import paralab
from paralab_profiling import cluster, live
session = paralab.init(num_cpus=2)
@paralab.remote
def gate(path):
    with open(path) as opened:
        return opened.read()
@paralab.remote
def join(*parts):
    return len(parts)
"""
RUN = """\
with live({kind!r}) as view:
    result = paralab.get(join.remote(*[gate.remote(f"{folder}/gate{{n}}") for n in range(2)]))
print("joined", result)
"""


def gates(folder: Path, name: str) -> Path:
    """Two gates that a task waits at until somebody writes there."""
    place = folder / name
    place.mkdir()
    for number in range(2):
        os.mkfifo(place / f"gate{number}")
    return place


def release(gate: Path) -> None:
    with gate.open("w") as opened:
        opened.write("go")


def outputs(page: Any) -> Any:
    return page.locator(".jp-OutputArea-output")


def saved(page: Any, path: Path) -> Any:
    """The notebook's file, saved."""
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    return json.loads(path.read_text())


def themed(page: Any, theme: str, what: str, colour: str) -> None:
    """Changes JupyterLab's theme; returns when ``what`` has that colour."""
    # Asked again until it is so: a page that has just been loaded may still set its own.
    change = f"execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
    test = f"() => {what} === '{colour}' || (jupyterapp.commands.{change}, false)"
    page.wait_for_function(test, polling=500)


def test_the_parts_grow_while_the_cell_runs(jupyter: Any) -> None:
    folder = gates(jupyter.folder, "overhead")
    notebook(jupyter.folder / "overhead.ipynb", START, RUN.format(kind="overhead", folder=folder))
    page = opened(jupyter.browser, jupyter.address, "overhead.ipynb")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.locator("text", has_text="sums over 0 tasks").wait_for()
    release(folder / "gate0")
    live.locator("text", has_text="sums over 1 task that").wait_for()
    page.screenshot(path=str(jupyter.folder / "overhead-live.png"))
    release(folder / "gate1")
    page.get_by_text("joined 2").wait_for()
    live.wait_for(state="detached")
    title = page.locator(".pl-picture svg").get_attribute("aria-label")
    assert "of the workers' time" in title
    assert "so far" not in title
    assert errors == []
    page.close()


@pytest.mark.parametrize(("kind", "mark"), [("timeline", "gate"), ("graph", "gate"),
                                            ("progress", "")])  # fmt: skip
def test_it_follows_the_tasks_and_answers_meanwhile(jupyter: Any, kind: str, mark: str) -> None:
    folder = gates(jupyter.folder, kind)
    notebook(jupyter.folder / f"{kind}.ipynb", START, RUN.format(kind=kind, folder=folder))
    page = opened(jupyter.browser, jupyter.address, f"{kind}.ipynb")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.get_by_text("0 of 3 tasks done, 2 running").wait_for()
    if mark:
        # The cell is blocked in get, so nothing of this can ask the kernel.
        live.locator("[data-task]").first.click()
        facts = page.locator(".pl-tell").first
        facts.get_by_text("running", exact=True).wait_for()
        assert "gate (" in facts.inner_text()
        assert live.locator(".pl-selected").count() == 1
        page.keyboard.press("Escape")
        live.locator(".pl-selected").wait_for(state="detached")
        assert facts.inner_text() == ""
    page.screenshot(path=str(jupyter.folder / f"{kind}-live.png"))
    release(folder / "gate0")
    live.get_by_text("1 of 3 tasks done, 1 running").wait_for()
    release(folder / "gate1")
    page.get_by_text("joined 2").wait_for()
    live.wait_for(state="detached")
    picture = page.locator(".pl-picture svg")
    picture.wait_for()
    book = saved(page, jupyter.folder / f"{kind}.ipynb")
    title = picture.get_attribute("aria-label")
    ours = {"timeline": "busy", "graph": "3 tasks", "progress": "3 of 3 tasks done"}
    assert ours[kind] in str(title)
    bundles = [output["data"] for output in book["cells"][1]["outputs"] if "data" in output]
    assert not any("widget-view" in kind for bundle in bundles for kind in bundle)
    assert sum("text/html" in bundle for bundle in bundles) == 1

    command(page, "kernelmenu:shutdown")
    page.reload()
    picture.wait_for(timeout=WAIT_MS)
    assert picture.get_attribute("aria-label") == title
    if mark:  # it answers without a kernel
        picture.locator("[data-task]").first.click()
        page.locator(".pl-tell").get_by_text("done", exact=True).wait_for()
    paper = "getComputedStyle(document.querySelector('.pl-picture svg > rect')).fill"
    for theme, colour in (("Light", "rgb(255, 255, 255)"), ("Dark", "rgb(17, 17, 17)")):
        themed(page, theme, paper, colour)
    assert page.get_by_text("Error displaying widget").count() == 0
    assert errors == []
    page.screenshot(path=str(jupyter.folder / f"{kind}-saved.png"))
    page.close()


TALKING = """\
@paralab.remote
def talks(table, path):
    print("said <b>before</b> it waits")
    with open(path) as opened:
        return opened.read()
@paralab.remote
def breaks(table):
    raise ValueError("<i>it broke</i>")
with live("timeline") as view:
    broken = breaks.remote(bytes(2_000))
    result = paralab.get(talks.remote(bytes(50_000), "{folder}/gate0"))
print("result", result)
"""


def test_a_selected_task_tells_all_while_the_cell_is_blocked(jupyter: Any) -> None:
    folder = gates(jupyter.folder, "telling")
    notebook(jupyter.folder / "telling.ipynb", START, TALKING.format(folder=folder))
    page = opened(jupyter.browser, jupyter.address, "telling.ipynb")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.get_by_text("0 of 2 tasks done, 1 failed ✕, 1 running").wait_for()
    facts = page.locator(".pl-tell").first

    def told(*expected: Any) -> None:
        page.keyboard.press("ArrowDown")
        for text in expected:
            facts.get_by_text(text).first.wait_for()

    live.focus()
    size = re.compile(r"^2\.\d+ kB$")
    told("ValueError: <i>it broke</i>", size, "def breaks(table):", "of it", "result")
    page.screenshot(path=str(jupyter.folder / "telling-error.png"))
    size = re.compile(r"^50\.\d kB$")
    told("said <b>before</b> it waits", size, "def talks(table, path):", "driver")
    assert facts.locator("b, i").count() == 0
    page.screenshot(path=str(jupyter.folder / "telling-running.png"))
    # What somebody marks to copy it stays marked while the picture goes on.
    page.locator(".pl-tell pre").first.select_text()
    marked = "() => String(getSelection())"
    assert "def talks(table, path):" in page.evaluate(marked)
    seen = "[...document.querySelectorAll('.pl-live text')].map((text) => text.textContent).join()"
    page.wait_for_function(f"(old) => {seen} !== old", arg=page.evaluate(f"() => {seen}"))
    assert "def talks(table, path):" in page.evaluate(marked)
    release(folder / "gate0")
    page.get_by_text("result go").wait_for()
    live.wait_for(state="detached")
    assert errors == []
    page.close()


MANY = """\
import time
@paralab.remote
def short(number):
    return number
with live("timeline") as view:
    for done in range(1_000, 5_001, 1_000):
        paralab.get([short.remote(n) for n in range(1_000)])
        # A look tells of the newest 2,000: all are to be heard of.
        while sum(each.ran for each in list(view.watched.marks.values())) < done:
            time.sleep(0.05)
    result = paralab.get(gate.remote("{folder}/gate0"))
print("result", result)
"""
BLUE = """() => {
    const canvas = document.querySelector("canvas.pl-canvas");
    const box = canvas.getBoundingClientRect();
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255 && data[at + 2] > data[at] + 50) return [
            box.left + ((at / 4) % canvas.width) * (box.width / canvas.width),
            box.top + Math.floor(at / 4 / canvas.width) * (box.height / canvas.height) + 4];
    return null;
}"""


def test_five_thousand_tasks_are_on_a_canvas_that_answers(jupyter: Any) -> None:
    folder = gates(jupyter.folder, "many")
    notebook(jupyter.folder / "many.ipynb", START, MANY.format(folder=folder))
    page = opened(jupyter.browser, jupyter.address, "many.ipynb")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.get_by_text("5,000 of 5,001 tasks done, 1 running").wait_for()
    page.locator("canvas.pl-canvas").wait_for()
    assert live.locator("rect[data-task]").count() == 0
    # The cell is blocked in get.  Where it is blue there is a task; a click tells which.
    page.mouse.click(*page.wait_for_function(BLUE).json_value())
    facts = page.locator(".pl-tell").first
    facts.get_by_text("def short(number):").wait_for()
    assert "done" in facts.inner_text()
    first = facts.locator("td", has_text="short (").inner_text()
    page.keyboard.press("ArrowDown")
    facts.locator("td", has_text=re.compile(rf"short \((?!{re.escape(first[7:])})")).wait_for()
    page.screenshot(path=str(jupyter.folder / "many-light.png"))
    paper = "getComputedStyle(document.querySelector('.pl-hover')).backgroundColor"
    themed(page, "Dark", paper, "rgb(17, 17, 17)")
    page.wait_for_function(BLUE)
    page.screenshot(path=str(jupyter.folder / "many-dark.png"))
    themed(page, "Light", paper, "rgb(255, 255, 255)")
    live.focus()
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('.pl-tell').innerText === ''")
    release(folder / "gate0")
    page.get_by_text("result go").wait_for()
    live.wait_for(state="detached")
    assert page.locator("canvas.pl-canvas").count() == 0
    assert errors == []
    page.close()


def test_the_cluster_and_its_button(jupyter: Any) -> None:
    folder = gates(jupyter.folder, "cluster")
    make = """\
@paralab.remote
class Keeper:
    def keep(self):
        print("kept <b>well</b>")
        return 1
keeper = Keeper.options(name="<i>keeper</i>").remote()
print("answer", paralab.get(keeper.keep.remote()))
"""
    last = "try:\n    paralab.get(keeper.keep.remote())\nexcept Exception as e: print(type(e))"
    close = "paralab.shutdown()"
    view = """\
from paralab_profiling.live import cluster_view
cluster_view.PROFILE_SECONDS = 1.0  # what it is for people is long for a test
view = cluster()
"""
    cells = (START, make, view, f"ref = gate.remote('{folder}/gate0')", last, close)
    notebook(jupyter.folder / "cluster.ipynb", *cells)
    page = opened(jupyter.browser, jupyter.address, "cluster.ipynb")
    for number in range(4):
        run_cell(page, number)
    table = page.locator(".pl-cluster table")
    actor = table.locator("tr", has_text="actor <i>keeper</i>")
    actor.wait_for()
    actor.get_by_text("kept <b>well</b>").wait_for()
    table.locator("code", has_text="gate").wait_for()
    page.screenshot(path=str(jupyter.folder / "cluster-live.png"))
    worker = table.locator("tr", has=page.locator("code", has_text="gate"))
    worker.get_by_role("button", name="profile: worker").focus()
    page.keyboard.press("Enter")
    flame = page.locator(".pl-picture svg[aria-label*='gate']")
    flame.first.wait_for(state="attached")
    worker.get_by_role("button", name="profile: worker").wait_for()
    flame.last.scroll_into_view_if_needed()
    page.screenshot(path=str(jupyter.folder / "cluster-profile.png"))
    assert "CPUs in use" not in str(flame.last.get_attribute("aria-label"))
    release(folder / "gate0")
    table.locator("code", has_text="gate").wait_for(state="detached")
    actor.get_by_role("button", name="kill").click()
    actor.get_by_text("end it now").click()
    actor.wait_for(state="detached")
    run_cell(page, 4)
    outputs(page).get_by_text("ActorDiedError").wait_for()
    run_cell(page, 5)
    page.locator(".pl-cluster").wait_for(state="detached")
    assert "0 actors" in str(page.locator(".pl-picture svg").first.get_attribute("aria-label"))
    page.close()


MEASURED = """\
import pathlib
log, go = pathlib.Path({folder!r}) / "log", pathlib.Path({folder!r}) / "go"
def waits():
    import time
    while log.exists() and log.stat().st_size >= {first} and not go.exists():
        time.sleep(0.01)
def called():
    with log.open("a") as opened:
        opened.write("x")
def work(x):
    import os
    if os.getpid() == driver:
        called()
    else:
        waits()
    return x
def add(x, y):
    called()
    waits()
    return x + y
import os
driver = os.getpid()
"""


@pytest.mark.parametrize(
    ("line", "first", "mark"),
    [
        # The warm-up and the first local run are calls of the driver; the next one is remote.
        ("%speedup --repeats 3 --workers 2 work(x) for x in [1]", 2, "local, run 1"),
        # Four calls warm up; the next is the first of the chain.
        ("%aggregate --repeats 3 add, [1, 2, 3]", 5, "v1–v2: runs"),
    ],
)
def test_a_measurement_is_followed_and_leaves_its_result(
    jupyter: Any, line: str, first: int, mark: str
) -> None:
    name = line[1:4]
    folder = jupyter.folder / name
    folder.mkdir()
    cells = (f"{START}%load_ext paralab", MEASURED.format(folder=str(folder), first=first), line)
    notebook(jupyter.folder / f"{name}.ipynb", *cells)
    page = opened(jupyter.browser, jupyter.address, f"{name}.ipynb")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    command(page, "notebook:run-all-cells")
    live = page.locator(".pl-live")
    live.locator("title", has_text=mark).wait_for(state="attached")
    page.screenshot(path=str(jupyter.folder / f"{name}-live.png"))
    (folder / "go").touch()
    live.wait_for(state="detached")
    picture = page.locator(".pl-picture svg").first
    picture.wait_for()
    assert "so far" not in str(picture.get_attribute("aria-label"))
    page.screenshot(path=str(jupyter.folder / f"{name}-ended.png"))
    book = saved(page, jupyter.folder / f"{name}.ipynb")
    bundles = [output.get("data", {}) for output in book["cells"][2]["outputs"]]
    assert not any("widget-view" in kind for bundle in bundles for kind in bundle)
    assert sum("text/html" in bundle for bundle in bundles) == 1
    assert errors == []
    page.close()
