"""The memory profilers on tasks and actors: peaks, lines that leak, types that grow."""

from __future__ import annotations

import importlib.util
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab_profiling import profile
from paralab_profiling.memory.between import Room, Watch
from paralab_profiling.memory.growth import Tracemalloc
from paralab_profiling.memory.growth_drawing import draw_lines, draw_types, table_of
from paralab_profiling.profilers.result import Profile, ProfileError
from paralab_profiling.profilers.tools import ToolError, check, find

MB = 1_000_000
BOUND = 2 * MB
LEAK = 20_000
WAIT = 60
LINES = Path(__file__).read_text().splitlines()


@paralab.remote
def fill(size: int) -> bytes:
    return b"x" * size


@paralab.remote
def hold(size: int) -> int:
    return len(bytearray(b"x") * size)


@paralab.remote
def grow(size: int) -> None:
    paralab.put(b"x" * size)


class Entry:
    def __init__(self, data: bytes) -> None:
        self.data = data


@paralab.remote
class Leaks:
    def __init__(self) -> None:
        self.cache: list[Any] = []
        self.last = bytearray()

    def add(self) -> None:
        self.last = bytearray(25 * LEAK)  # large, but the next call replaces it
        self.cache.append(Entry(bytes(LEAK)))

    def fail(self) -> None:
        raise ValueError("on purpose")

    def is_tracing(self) -> bool:
        return tracemalloc.is_tracing()


@paralab.remote
class Waits:
    async def wait(self, refs: list[Any]) -> None:
        await refs[0]

    async def is_tracing(self) -> bool:
        return tracemalloc.is_tracing()


class Fake:
    """What a look would find, as a test says."""

    def __init__(self) -> None:
        self.there: dict[Any, tuple[int, int]] = {}
        self.looks = self.begun = 0
        self.is_open = False

    def look(self) -> dict[Any, tuple[int, int]]:
        self.looks += 1
        return dict(self.there)

    def room(self) -> Room:
        def begin() -> None:
            self.is_open = True
            self.begun += 1

        def close() -> None:
            self.is_open = False

        return Room(self.look, begin, close)

    def watch(self) -> Watch:
        return self.room().watch()

    def call(self, watch: Watch, leak: int) -> None:
        watch.enter()
        self.there["leak"] = self.there.get("leak", (0, 0))[0] + leak, 1
        self.there["replaced"] = 500, 1
        watch.leave()


def told(watch: Watch, rows: list[Any]) -> list[Any]:
    found = watch.growth()
    return [watch.token, found.calls, found.intervals, rows]


def test_what_the_next_call_replaces_is_no_leak() -> None:
    fake = Fake()
    watch = fake.watch()
    for _ in range(5):
        fake.call(watch, 10)
    found = watch.growth()
    assert (found.calls, found.intervals) == (5, 4)
    assert found.grown == {"leak": (40, 0)}
    assert found.left == {"leak": (10, 1), "replaced": (500, 1)}
    watch.close()
    assert not fake.is_open
    assert watch.growth() == found


def test_watching_begins_anew_and_adds_up() -> None:
    fake = Fake()
    watch = fake.watch()
    for _ in range(2):
        for _ in range(3):
            fake.call(watch, 10)
        watch.close()
    found = watch.growth()
    assert (found.calls, found.intervals) == (6, 4)
    assert found.grown["leak"] == (40, 0)


def test_each_block_has_its_own_growth() -> None:
    fake = Fake()
    room = fake.room()
    one, other = room.watch(), room.watch()
    for _ in range(5):
        fake.call(one, 10)
    for _ in range(3):
        fake.call(other, 1_000)
    first, second = one.growth(), other.growth()
    assert (first.calls, first.grown) == (5, {"leak": (40, 0)})
    assert (second.calls, second.grown) == (3, {"leak": (2_000, 0)})
    assert fake.begun == 2, "what the first block left is not in the second"
    one.close()
    assert fake.is_open, "the other one still needs it"
    other.close()
    assert not fake.is_open
    assert one.token != other.token
    rows = [["f.py", 1, "yours", 1, 1, 0, 0]]
    assert table_of([told(one, rows), told(other, rows)], is_size=True).processes == 1


def test_a_block_whose_call_runs_goes_on_beside_another() -> None:
    fake = Fake()
    room = fake.room()
    one, other = room.watch(), room.watch()
    fake.call(one, 10)
    one.enter()
    fake.call(other, 10)
    fake.call(other, 10)
    other.close()
    assert fake.is_open
    assert fake.begun == 1
    one.leave()
    assert one.growth().calls == 2
    one.close()
    assert not fake.is_open


def test_a_thousand_calls_are_a_few_looks() -> None:
    fake = Fake()
    watch = fake.watch()
    for _ in range(1_000):
        fake.call(watch, 10)
    assert fake.looks == 1
    found = watch.growth()
    watch.close()
    assert found.grown["leak"] == (999 * 10, 0)


def test_after_one_call_it_is_said_what_it_left() -> None:
    fake = Fake()
    watch = fake.watch()
    fake.call(watch, 700)
    rows = [["leak.py", 3, "yours", 0, 0, 700, 1]]
    drawn = draw_lines(Profile("tracemalloc", "bytes", (), extra={"growth": [told(watch, rows)]}))
    watch.close()
    assert drawn.title == "leak.py:3 left 700 B after one call; a leak shows from two calls on"


def test_what_cannot_begin_stays_closed() -> None:
    def refuse() -> None:
        raise ToolError("no")

    watch = Room(dict, refuse).watch()
    with pytest.raises(ToolError):
        watch.enter()
    watch.close()
    assert watch.growth().calls == 0


def test_tracemalloc_that_the_program_started_is_left_alone() -> None:
    session = Tracemalloc().collector("f", {}).begin()
    tracemalloc.start()
    try:
        with pytest.raises(ToolError, match="started by the program itself"):
            session.start()
        session.end()
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_each_process_counts_once_and_newest() -> None:
    old = ["a", 3, 2, [["f.py", 1, "yours", 100, 1, 5, 1]]]
    new = ["a", 5, 4, [["f.py", 1, "yours", 200, 2, 5, 1]]]
    other = ["b", 5, 4, [["f.py", 1, "yours", 600, 2, 5, 1], ["g.py", 2, "runtime", 1, 1, 0, 0]]]
    table = table_of([new, old, other, new], is_size=True)
    assert (table.calls, table.intervals, table.processes) == (10, 8, 2)
    assert [(row.name, row.size) for row in table.rows] == [("f.py:1", 800), ("g.py:2", 1)]
    assert table.per_call(table.rows[0], is_size=True) == 100


def test_paralabs_own_lines_stand_apart() -> None:
    rows = [
        ["paralab/process/x.py", 1, "runtime", 9_000, 9, 0, 0],
        ["f.py", 1, "yours", 3_000, 3, 0, 0],
    ]
    extra = {"growth": [["a", 4, 3, rows]]}
    drawn = draw_lines(Profile("tracemalloc", "bytes", (), extra=extra))
    assert drawn.title == "f.py:1 grows by 1.00 kB a call"
    assert "(paralab)" in drawn.text


@pytest.mark.parametrize("wrong", [[1], [["a"]], [["a", "x", 2, []]], [["a", 1, 2, [["f.py"]]]]])
def test_damaged_growth_is_refused(wrong: Any) -> None:
    with pytest.raises(ProfileError, match="damaged"):
        draw_lines(Profile("tracemalloc", "bytes", (), extra={"growth": wrong}))


def test_hostile_names_stay_text() -> None:
    name = "<script>alert(1)</script>\x1b[2J"
    rows = [[name, 0, "yours", 0, 9, 0, 0]]
    ways = [[[[name, name], [name, ""]], True]]
    extra = {"objects": [["a", 4, 3, rows, [name, ways]]]}
    drawn = draw_types(Profile("objgraph", "bytes", (), extra=extra))
    for text in (drawn.svg, drawn.to_html()):
        assert "<script>alert" not in text
        assert "\x1b" not in text
    assert "\x1b" not in drawn.text


def test_without_objgraph_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"objgraph is not installed\. Run 'pip install objgraph'"):
        check(["objgraph"])


def test_combinations_that_lie_are_refused() -> None:
    with pytest.raises(ValueError, match="cprofile under tracemalloc would lie"):
        check(["tracemalloc", "cprofile"])
    check(["tracemalloc", "peak"])
    assert find("peak").unit == "bytes"


@pytest.mark.slow
def test_peak_of_tasks_is_that_of_known_allocations(session: Any, tmp_path: Path) -> None:
    with profile(tool="peak") as found:
        paralab.get([hold.remote(30 * MB), hold.remote(10 * MB)], timeout=WAIT)
        kept = fill.remote(20 * MB)
        paralab.get(grow.remote(8 * MB), timeout=WAIT)
        paralab.wait([kept], timeout=WAIT)
    by_size = sorted((row[0], row[4] - row[3], row[7]) for row in found.extra["peaks"])
    assert [name for name, _, _ in by_size] == ["fill", "grow", "hold", "hold"]
    for (_, added, _), expected in zip(by_size, (20, 8, 10, 30), strict=True):
        # What was put is written once more, into the store, and may be seen or not.
        assert -BOUND <= added - expected * MB <= BOUND + (8 * MB if expected == 8 else 0)
    assert [round(stored / MB) for _, _, stored in by_size] == [20, 8, 0, 0]
    assert found.tasks == {"fill": 1, "grow": 1, "hold": 2}
    assert found.title.startswith("fill peaks at 4")
    loaded = Profile.load(found.save(tmp_path / "peak.json"))
    assert loaded.picture.text == found.picture.text
    assert "paralab" in loaded.stamp["packages"]
    assert loaded.stamp["python"] in loaded.picture.svg


@pytest.mark.slow
def test_line_that_leaks_is_found_by_bytes_per_call(session: Any) -> None:
    leaks = Leaks.remote()
    with profile(tool="tracemalloc") as found:
        paralab.get([leaks.add.remote() for _ in range(20)], timeout=WAIT)
    table = table_of(found.extra["growth"], is_size=True)
    worst = table.rows[0]
    place = (
        f"test_memory_tools.py:{next(n for n, x in enumerate(LINES, 1) if 'self.cache.app' in x)}"
    )
    assert worst.name.endswith(place)
    assert worst.kind == "yours"
    assert abs(table.per_call(worst, is_size=True) - LEAK) <= 0.05 * LEAK
    assert f"{place} grows by" in found.title
    assert json.loads(json.dumps(found.to_dict()))["tool"] == "tracemalloc"
    eventually(lambda: not paralab.get(leaks.is_tracing.remote(), timeout=WAIT), WAIT)


@pytest.mark.slow
def test_tracing_ends_when_calls_fail_or_are_cancelled(session: Any) -> None:
    leaks = Leaks.remote()
    never = paralab.put(None)
    waits = Waits.remote()
    with profile(tool="tracemalloc") as found:
        with pytest.raises(ValueError, match="on purpose"):
            paralab.get(leaks.fail.remote(), timeout=WAIT)
        blocked = hold.options(resources={"missing": 1}).remote(1)
        waiting = waits.wait.remote([blocked])
    eventually(lambda: paralab.get(waits.is_tracing.remote(), timeout=WAIT), WAIT)
    paralab.cancel(waiting)
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(waiting, timeout=WAIT)
    paralab.cancel(blocked)
    eventually(lambda: not paralab.get(leaks.is_tracing.remote(), timeout=WAIT), WAIT)
    eventually(lambda: not paralab.get(waits.is_tracing.remote(), timeout=WAIT), WAIT)
    assert found.refresh().tasks["Leaks.fail"] == 1
    del never


@pytest.mark.slow
def test_type_that_grows_is_found_and_who_holds_it(session: Any) -> None:
    pytest.importorskip("objgraph")
    leaks = Leaks.remote()
    with profile(tool="objgraph") as found:
        paralab.get([leaks.add.remote() for _ in range(12)], timeout=WAIT)
    table = table_of(found.extra["objects"], is_size=False)
    (entry,) = (row for row in table.rows if row.name.endswith("Entry"))
    assert table.per_call(entry, is_size=False) == 1
    assert found.title.startswith("1 ")
    assert "Leaks ──.cache──▶ list of" in found.picture.text


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["tracemalloc", "objgraph"])
def test_second_block_on_the_same_actor_has_its_own_calls(session: Any, tool: str) -> None:
    if tool == "objgraph":
        pytest.importorskip("objgraph")
    leaks = Leaks.remote()
    key = "growth" if tool == "tracemalloc" else "objects"
    tables = []
    for calls in (9, 4):
        with profile(tool=tool) as found:
            paralab.get([leaks.add.remote() for _ in range(calls)], timeout=WAIT)
        (told,) = found.extra[key]
        assert told[1] == calls
        table = table_of([told], is_size=tool == "tracemalloc")
        assert 1 <= table.intervals < calls, "fewer if a slow machine was taken for an idle one"
        tables.append((found, table))
    (first, nine), (_second, four) = tables
    assert first.refresh().extra[key][0][1] == 9, "the second block adds nothing to the first"
    for table in (nine, four):
        if tool == "objgraph":
            (entry,) = (row for row in table.rows if row.name.endswith("Entry"))
            assert entry.count == table.intervals
        else:
            assert abs(table.rows[0].size - LEAK * table.intervals) <= LEAK * 0.2
