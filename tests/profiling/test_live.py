"""Live views: what is heard, what is sent, how often is asked; on made-up answers and a session."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import PAYLOADS, acts, markup_of, name_of
from process_helpers import eventually

import paralab
from paralab.engine import Told, current
from paralab.ids import INDEX_BITS, make_address
from paralab_profiling import live
from paralab_profiling.live import cluster_view, view, widgets
from paralab_profiling.live.cluster import ClusterState, Facts, cluster, kill_actor, state_of
from paralab_profiling.live.frames import Frames
from paralab_profiling.live.processes import Use, percent, use_of
from paralab_profiling.live.progress import progress, progress_picture, progress_text
from paralab_profiling.live.watched import FORGOTTEN, MOST_MARKS, Count, Watched
from paralab_profiling.live.watcher import LEAST_SECONDS, Watcher, ask_news, pause_after
from paralab_profiling.palette import Palette

DRIVER, WORKER, OTHER = (make_address(b"\x01" * 28, number, 7) for number in (1, 2, 3))
MS = 1_000_000
BEGIN = 1_000 * MS


def row(number: int, state: str = "FINISHED", at: float = 1.0, worker: bytes = WORKER,
        name: str = "__main__.f", needs: tuple[Any, ...] = ()) -> tuple[Any, ...]:  # fmt: skip
    """A task that was submitted ``at`` ms after the beginning, and ran 5 ms from 1 ms later."""
    start = BEGIN + round(at * MS)
    has_ended = state in ("FINISHED", "FAILED")
    worker = worker if has_ended or state == "RUNNING" else b""
    caller = (number << INDEX_BITS | 1, name, 0, 0, 10, start, start, start, start,
              start if worker else 0, 0, needs, start)  # fmt: skip
    stamps = tuple(start + n * MS for n in (1, 1, 1, 6, 6)) if has_ended else ()
    returned = start + 6 * MS if has_ended else 0
    resources = () if has_ended else (("CPU", 10_000),)
    return (state, worker, caller, stamps, returned, 5, None, None, resources, b"", "")


def news(*rows: Any, dropped: int = 0, finished: Any = None, pending: Any = None) -> list[Told]:
    """The driver's answer."""
    counts: dict[tuple[str, bool], int] = {}
    waiting: dict[str, int] = {}
    for each in rows:
        if each[3]:
            key = (each[2][1], each[0] == "FAILED")
            counts[key] = counts.get(key, 0) + 1
        else:
            waiting[each[2][1]] = waiting.get(each[2][1], 0) + 1
    told = {
        "finished": finished or [(*key, count) for key, count in counts.items()],
        "dropped": dropped,
        "pending": pending or list(waiting.items()),
        "rows": list(rows),
    }
    return [Told(DRIVER, 100, True, told)]


def test_figures_are_of_all_tasks_since_the_beginning() -> None:
    watched = Watched(BEGIN)
    watched.hear(news(row(1), row(2, "FAILED")))
    assert watched.counts == {}, "they had ended before"
    finished = [("__main__.f", False, 400), ("__main__.f", True, 3)]
    pending = [("__main__.f", 50), ("g", 7)]
    watched.hear(news(row(3, "RUNNING"), finished=finished, pending=pending))
    assert watched.counts == {"f": Count(399, 2, 1, 49), "g": Count(0, 0, 0, 7)}
    assert watched.total.total == 458
    # The ring let go of 300 of 500 records: nothing is lost, but whose they were is.
    watched.hear(news(finished=[("__main__.f", False, 200)], dropped=300))
    assert watched.counts["f"].done == 199
    assert watched.counts[FORGOTTEN].done == 300


def test_silent_processes_are_no_matter() -> None:
    watched = Watched(BEGIN)
    assert watched.hear([Told(OTHER, 5, False, None)]) == []
    assert watched.counts == {}


def test_marks_come_when_they_change() -> None:
    watched = Watched(BEGIN)
    before = row(9, at=-50)
    waits = row(2, "PENDING_ARGS_AVAIL", needs=((DRIVER, 1 << INDEX_BITS | 1),))
    changed = watched.hear(news(before, row(1, "RUNNING"), waits))
    assert [(task.id, task.state) for task in changed] == [("1.1", "running"), ("1.2", "waiting")]
    assert changed[1].needs == ("1.1",)
    assert watched.hear(news(before, row(1, "RUNNING"), waits)) == []
    changed = watched.hear(news(row(1), row(2, "RUNNING", worker=OTHER)))
    assert [(task.id, task.state) for task in changed] == [("1.1", "done"), ("1.2", "running")]
    assert watched.lanes == {2: "worker 1", 3: "worker 2"}
    assert len(watched.session) == 12


def test_marks_are_bounded() -> None:
    watched = Watched(BEGIN)
    watched.hear(news())
    rows = [row(number) for number in range(1, MOST_MARKS + 51)]
    assert len(watched.hear(news(*rows))) == MOST_MARKS
    frame = Frames(watched, Palette()).next((), BEGIN + 50 * MS)
    assert frame["more"] == 50


def test_what_ended_unheard_goes() -> None:
    watched = Watched(BEGIN)
    frames = Frames(watched, Palette())
    watched.hear(news())
    frames.next(watched.hear(news(row(1, "RUNNING"), row(2, "RUNNING", worker=OTHER))), BEGIN)
    frame = frames.next(watched.hear(news(row(2, "RUNNING", worker=OTHER))), BEGIN)
    assert frame["gone"] == ["1.1"], "nobody knows when it ended"
    silent = [Told(DRIVER, 100, True, None)]
    assert frames.next(watched.hear(silent), BEGIN)["gone"] == [], "who is silent may still run it"
    assert list(watched.marks) == ["1.2"]
    frame = frames.next(watched.hear(news(row(1), row(2))), BEGIN)
    assert [task[0] for task in frame["tasks"]] == ["1.1", "1.2"], "heard of after all"
    assert frame["gone"] == []


def test_frames_are_differences_and_the_whole() -> None:
    watched = Watched(BEGIN)
    frames = Frames(watched, Palette())
    watched.hear(news())
    first = frames.next(watched.hear(news(row(1, "RUNNING"))), BEGIN + 2 * MS)
    assert first | {"run": ""} == {
        "n": 0, "run": "", "now": 2.0, "lanes": [[2, "worker 1"]], "more": 0, "gone": [],
        "drivers": [[1, "driver"]],
        "tasks": [["1.1", "f", 2, 1.0, None, "running", [], [1, 1.0, 10, 0, 0, ""]]],
        "counts": [["f", "#3b78e0", 0, 0, 1, 0]],
    }  # fmt: skip
    again = frames.next(watched.hear(news(row(1, "RUNNING"))), BEGIN + 3 * MS)
    assert (again["n"], again["lanes"], again["tasks"], again["counts"]) == (1, [], [], [])
    last = frames.next(watched.hear(news(row(1))), BEGIN + 9 * MS)
    parts = [0, 0, 0, MS, 0, 5 * MS, 0, 0]
    rest = [1, 1.0, 10, 0, 0, "", 6 * MS, 5, *parts]
    assert last["tasks"] == [["1.1", "f", 2, 2.0, 7.0, "done", [], rest]]
    assert last["drivers"] == [], "told already"
    assert last["counts"] == [["f", "#3b78e0", 1, 0, 0, 0]]
    whole = frames.whole(BEGIN + 9 * MS)
    assert whole == last | {"n": 0, "lanes": [[2, "worker 1"]], "drivers": [[1, "driver"]]}
    assert frames.next((), BEGIN)["n"] == 1


def test_a_frame_of_many_tasks_is_small() -> None:
    watched = Watched(BEGIN)
    frames = Frames(watched, Palette())
    changed = watched.hear(news(*(row(n, at=n) for n in range(1, 501))))
    assert len(json.dumps(frames.next(changed, BEGIN))) < 75_000, "150 bytes a task"


def test_how_often_is_asked() -> None:
    assert pause_after(0.0, 0.0) == LEAST_SECONDS == 0.1
    assert pause_after(0.05, 0.06) == pytest.approx(0.95)
    assert pause_after(0.001, 0.2) == pytest.approx(0.6), "most of it was waiting"
    assert pause_after(1.0, 5.0) == 3.0


def test_a_watcher_looks_until_it_is_stopped_and_says_when_the_session_ends(runtime: Any) -> None:
    heard: list[int] = []
    enough, ended = threading.Event(), threading.Event()

    def hear(found: int) -> None:
        heard.append(found)
        if len(heard) == 3:
            enough.set()

    numbers = iter(range(100))
    watcher = Watcher(current(), lambda _engine: next(numbers), hear, ended.set)
    watcher.start()
    assert enough.wait(60)
    watcher.stop()
    watcher.stop()
    assert heard[:3] == [0, 1, 2]
    assert not ended.is_set()
    second = Watcher(current(), ask_news, lambda _found: enough.set(), ended.set)
    second.start()
    paralab.shutdown()
    assert ended.wait(60)
    second.stop()


def test_without_the_widget_packages_live_says_what_to_install(
    runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    widgets._widget_class.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'paralab\[lab\]'"):
        live("graph")
    with pytest.raises(ValueError, match="timeline, graph, overhead, progress; got 'grpah'"):
        live("grpah")


@pytest.mark.parametrize(("spec", "shell", "expected"), [
    (True, SimpleNamespace(kernel=1), True),
    (None, SimpleNamespace(kernel=1), False),
    (True, SimpleNamespace(), False),
    (True, None, False),
])  # fmt: skip
def test_widgets_are_for_kernels(
    monkeypatch: pytest.MonkeyPatch, spec: Any, shell: Any, expected: bool
) -> None:
    fake = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", fake)  # type: ignore[arg-type, unused-ignore]
    monkeypatch.setattr(widgets, "find_spec", lambda _name: spec)
    assert widgets.has_widgets() == expected


COUNTS = {"clean": Count(620, 3, 2, 375), "load_" * 9: Count(0, 0, 0, 4), "save": Count(5)}


def test_progress_in_a_terminal() -> None:
    lines = progress_text(COUNTS, 1.2).splitlines()
    assert lines[0] == "625 of 1,009 tasks done, 3 failed ✕ after 1.20 s"
    assert lines[1] == f"{'clean':18} {'█' * 14}✕▒{'·' * 8} 620 of 1,000, 3 failed, 2 running"
    assert lines[2] == f"load_load_load_lo… {'·' * 24} 0 of 4"
    assert lines[3].endswith(f"{'█' * 24} 5 of 5")
    assert all(len(line) <= 80 for line in lines)
    many = {f"f{n}": Count(n) for n in range(50)}
    assert progress_text(many, 1).splitlines()[-1].startswith("+ 38 functions")


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_stay_text(payload: str) -> None:
    watched = Watched(BEGIN)
    watched.hear(news())
    watched.hear(news(row(1, name=payload[:10_000])))
    picture = progress_picture(watched.counts, 1)
    assert acts(picture.text) == []
    honest = progress_picture({"f": Count(1)}, 1)
    assert markup_of(picture.to_html())[:2] == markup_of(honest.to_html())[:2]
    frame = Frames(watched, Palette()).whole(BEGIN)
    assert acts(frame["tasks"][0][1]) == []
    state = state_of(facts(name=payload, line=payload[:200]))
    assert acts(repr(state)) == []
    assert len(repr(state).splitlines()) == 7
    assert markup_of(state.picture().to_html())[1] == markup_of(honest.to_html())[1]


def test_progress_of_a_session(runtime: Any) -> None:
    @paralab.remote
    def double(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return 2 * x

    paralab.get([double.remote(0) for _ in range(4)])
    file = io.StringIO()
    with progress(file) as watched:
        refs = [double.remote(x) for x in range(10)]
        paralab.wait(refs, num_returns=10)
        with pytest.raises(ValueError, match="three"):
            paralab.get(refs)
    (count,) = watched.counts.values()
    assert count == Count(done=9, failed=1)
    title, line = file.getvalue().splitlines()
    assert title.startswith("9 of 10 tasks done, 1 failed ✕ after ")
    assert line.endswith("9 of 10, 1 failed")


def facts(name: str = "keeper", line: str = "well", at: float = 1.0, cpu: float = 2.0) -> Facts:
    ref = (DRIVER, 5 << INDEX_BITS)
    return Facts(
        at,
        workers=[
            {"worker_id": OTHER.hex(), "pid": 12, "state": "actor"},
            {"worker_id": WORKER.hex(), "pid": 11, "state": "leased"},
        ],
        actors=[
            {"ref": ref, "class_name": "Keeper", "state": "ALIVE", "name": name, "worker": OTHER,
             "resources": [("CPU", 5_000)]},
            {"ref": ref, "class_name": "Keeper", "state": "DEAD", "name": "", "worker": b"",
             "resources": [("CPU", 5_000)]},
        ],
        store={"used": 8_000_000, "capacity": 10**9, "spilled_bytes": 50_000},
        nodes=[{"Alive": True, "Resources": {"CPU": 2.0, "node:127.0.0.1": 1.0}},
               {"Alive": False, "Resources": {"CPU": 64.0}}],
        departed=[(DRIVER, 9, "killed by SIGKILL", "node", 1, 2)],
        prints=[(12, "first"), (12, line), (11, "other")],
        news=[*news(row(1, "RUNNING"), row(2, "FAILED"), row(3)), Told(OTHER, 12, False, None)],
        use={11: Use(cpu, 30_000_000, 4_000), 12: Use(0.5, 10_000_000, 0)},
    )  # fmt: skip


def test_the_state_of_a_cluster() -> None:
    state = state_of(facts(at=3.0, cpu=3.5), facts())
    worker, actor = state.processes
    assert (worker.name, worker.runs, worker.cpu_percent, worker.errors) == ("worker 1", "f", 75, 1)
    assert (worker.private, worker.shared, worker.last_line) == (30_000_000, 4_000, "other")
    assert (actor.name, actor.runs, actor.cpu_percent) == ("actor keeper", "", 0)
    assert (actor.last_line, worker.actor) == ("well", "")
    assert state.resources == {"CPU": (1.5, 2.0)}
    assert state.title == "1.50 of 2.00 CPUs in use: 1 worker, 1 actor"
    assert state.note == (
        "store 8.00 MB of 1.00 GB, 50.0 kB spilled to files; last to end: killed by SIGKILL"
    )
    lines = repr(state).splitlines()
    assert lines[3] == ("worker 1                11    75  30.0 MB  4.00 kB f  1 failed ✕")
    assert lines[4] == "    other"
    assert state_of(facts()).processes[0].cpu_percent is None
    assert "worker 1" in state.picture().svg


def test_many_workers_are_cut_and_said() -> None:
    state = state_of(facts())
    many = replace(state, processes=(*state.processes * 5_000,))
    picture = many.picture()
    assert "+ 9,976 more, not drawn" in picture.svg
    assert len(picture.to_html()) < 300_000


def test_what_the_system_tells_of_processes(tmp_path: Path) -> None:
    place = tmp_path / "7"
    place.mkdir()
    stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 200"
    (place / "stat").write_text(stat)
    (place / "status").write_text("Name:\tx\nRssAnon:\t  100 kB\nRssShmem:\t   20 kB\n")
    found = use_of([7, 8], tmp_path)
    assert found == {7: Use(3.0, 102_400, 20_480)}
    assert percent({7: Use(2.0, 0, 0)}, found, 2.0) == {7: 50.0}
    assert percent({}, found, 2.0) == {}
    assert percent(found, found, 0) == {}


def test_the_cluster_of_a_session(runtime: Any) -> None:
    @paralab.remote
    class Keeper:
        def keep(self) -> int:
            sys.stdout.write("kept\n")
            return 1

    keeper: Any = Keeper.options(name="it").remote()
    assert paralab.get(keeper.keep.remote()) == 1

    def said() -> Any:
        state = cluster()
        assert isinstance(state, ClusterState)
        (actor,) = [each for each in state.processes if each.actor]
        return actor if actor.last_line else None

    actor = eventually(said, 60.0)  # what it prints takes another way than its result
    assert (actor.name, actor.last_line) == ("actor it", "kept")
    assert actor.private > 1_000_000
    assert cluster().resources["CPU"][1] == 2
    kill_actor(current(), actor.actor)
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(keeper.keep.remote())
    eventually(lambda: current().info("departed"), 60.0)
    assert "last to end: " in cluster().note, "of who has gone it says how"


class Shown:
    """A place in a notebook, and a widget: they take what they are told."""

    def __init__(self, *told: Any) -> None:
        self.told = list(told)
        self.frame: Any = {}
        self.press: Any = None

    def update(self, thing: Any, **_more: Any) -> None:
        self.told.append(thing)

    def on_msg(self, press: Any) -> None:
        self.press = press

    def close(self) -> None:
        pass


def pressed(view: Any, message: Any) -> Any:
    """What stands below the table once a button's message has been heard."""
    place = view._profile
    before = len(place.told)
    view._widget.press(None, message, [])
    eventually(lambda: len(place.told) > before and view._widget.frame["looking"] == 0, 60.0)
    return place.told[-1]


@pytest.mark.slow
def test_a_button_profiles_what_a_process_runs(
    runtime: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"

    @paralab.remote
    def works() -> int:
        begun.touch()
        while not gate.exists():
            pass
        return os.getpid()

    monkeypatch.setattr(cluster_view, "new_widget", lambda _own, _frame: Shown())
    monkeypatch.setattr(cluster_view, "show", Shown)
    monkeypatch.setattr(cluster_view, "PROFILE_SECONDS", 0.2)
    ref = works.remote()
    eventually(begun.exists, 60.0)
    view = cluster_view.ClusterView(current())
    try:
        process = eventually(
            lambda: next((each for each in view.state.processes if each.runs), None), 60.0
        )
        for wrong in ("x", {"profile": "x"}, {"profile": -1}, {"kill": ""}, {"kill": None}, {}):
            view._widget.press(None, wrong, [])
        assert view._looking == 0
        assert not view._profile.told[1:], "nothing was profiled and nothing was ended"
        found = pressed(view, {"profile": process.pid})
        assert found.tasks == {process.runs: 1}
        gate.touch()
        assert paralab.get(ref, timeout=60) == process.pid
        view._watcher.stop()  # so that the row of what ends now is there to be pressed
        os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: current().info("departed"), 60.0)
        said = pressed(view, {"profile": process.pid})
        assert repr(said).startswith(f"No profile of {process.name}, pid {process.pid}: ")
    finally:
        gate.touch()
        view.close()


@pytest.mark.slow
def test_a_page_that_was_slow_to_begin_is_told_all_without_asking(
    runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[Any] = []

    class Page:
        lock = threading.RLock()

        def __init__(self, kind: str, whole: Any, beside: Any) -> None:
            assert kind == "timeline"
            frames.append(whole())

        def send(self, frame: Any) -> None:
            frames.append(frame)

        def close(self, picture: Any) -> None:
            frames.append(picture)

    monkeypatch.setattr(view, "Place", Page)
    with live("timeline"):
        assert paralab.get(paralab.remote(lambda: 7).options(name="seven").remote()) == 7

        def told() -> Any:
            wholes = [frame for frame in frames[1:] if frame["n"] == 0]
            return [task[1] for frame in wholes for task in frame["tasks"] if task[5] == "done"]

        # The kernel hears nothing of the page while a cell runs.
        assert "seven" in eventually(told, 60.0)
    assert "workers" in frames[-1].title
