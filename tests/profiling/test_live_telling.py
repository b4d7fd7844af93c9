"""What a live view tells of a selected task: what a picture tells, in bounded bytes."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from live_page import page_says
from process_helpers import eventually
from synthetic import BEGIN, MS, pending, put, recording, task
from test_live import row

import paralab
from paralab.engine import Survey, Told
from paralab.ids import INDEX_BITS, make_address
from paralab_profiling import Source, live
from paralab_profiling.details import details_of
from paralab_profiling.live import view
from paralab_profiling.live.frames import Frames
from paralab_profiling.live.telling import (
    AGAIN_SECONDS,
    KEPT_BYTES,
    SOURCE_SECONDS,
    Kept,
    More,
    Telling,
)
from paralab_profiling.live.watched import Watched
from paralab_profiling.palette import Palette
from paralab_profiling.recording import Recording

TOLD = """
const { facts, sources } = told(known);
return frame.tasks.map(([id]) => [facts[id], sources[facts[id].source]]);
"""
DRIVER, WORKER = (make_address(b"\x01" * 28, number, 7) for number in (1, 2))


def telling_of(run: Recording, **more: Any) -> tuple[Watched, Telling]:
    """What is known of a recorded run when all of it has been heard."""
    watched = Watched(run.span_ns[0])
    watched.marks = {each.id: each for each in run}
    watched.drivers, watched.lanes = {1: "driver"}, {2: "worker 1", 3: "worker 2"}
    telling = Telling(watched, **more)
    sources = [(name, each.file, each.line, each.text) for name, each in run.sources.items()]
    prints = [
        (7, line, (DRIVER, int(task_id.split(".")[1]) << INDEX_BITS))
        for task_id, lines in run.prints.items()
        for line in lines
    ]
    telling.hear(More([], prints, [Told(DRIVER, 7, True, sources)]))
    return watched, telling


@pytest.mark.slow
def test_a_live_view_tells_what_the_picture_tells() -> None:
    many = [put(f"1.{number}", number / 10) for number in range(50, 62)]
    run = recording(
        *many,
        task("1.1", 8, 9.2345, name="load", bytes_in=12_345_678, bytes_out=999_600),
        task("1.2", 11, 40, name="Counter.add", worker=3, needs=("1.1",), attempt=2),
        task("1.3", 12, 13, name="work", needs=[each.id for each in many], unnamed=3),
        task("2.1", 14, 15, name="inner", owner=2, parent="1.3", is_fetched=False),
        task("2.2", 14, 16, name="inner", owner=2, call="Pool.map inner [0:16]"),
        pending("1.4", 20, "queued", name="work"),
        pending("1.5", 21, "waiting", name="made_of_thin_air", needs=("1.4",)),
        sources={
            "load": Source("a<b>.py", 3, "def load():\n    return '</script>'"),
            "Counter": Source("cell 2", 1, "class Counter: ..."),
            "work": Source("cell 3", 1, "def work(): ..."),
        },
        prints={"1.1": ("first", "<b>second</b>"), "1.3": ("third",)},
    )
    watched, telling = telling_of(run)
    frame = Frames(watched, Palette(), telling).whole(BEGIN + 50 * MS)
    saved = details_of(run, run)
    told = page_says(frame, TOLD)
    assert len(told) == len(saved) == 7
    for (facts, source), task_id in zip(told, saved, strict=True):
        assert facts == saved[task_id], task_id
        assert list(facts) == [*saved[task_id]], "in the same order"
        expected = saved.sources.get(saved[task_id].get("source", ""))
        assert source == (expected and {"file": expected.file, "line": expected.line,
                                        "text": expected.text})  # fmt: skip
    assert told[0][0]["arguments"] == "12.3 MB"
    assert told[0][0]["printed last"] == "first\n<b>second</b>"
    assert told[2][0]["takes"].endswith("+ 7 more")


@pytest.mark.slow
def test_the_page_says_what_had_to_go() -> None:
    run = recording(
        task("1.1", 1, 2, name="f", failed=True, state="failed"),
        task("1.2", 3, 4, name="g", failed=True, state="failed"),
        sources={"f": Source("f.py", 1, "f" * 60), "g": Source("g.py", 1, "g" * 60)},
        prints={"1.1": ("x" * 60,), "1.2": ("y" * 60,)},
    )
    watched, telling = telling_of(run, most=100)
    frame = Frames(watched, Palette(), telling).whole(BEGIN)
    (first, first_source), (second, source) = page_says(frame, TOLD)
    assert "the newest 100 kB of printed lines" in first["printed last"]
    assert "the newest 100 kB of sources" in first["its source"]
    assert first_source is None
    assert first["error"] == second["error"] == "not heard of yet, or no longer known"
    assert second["printed last"] == "y" * 60
    assert source["text"] == "g" * 60
    assert KEPT_BYTES == 100_000, "as telling.js says"


def test_the_newest_texts_are_kept() -> None:
    kept = Kept(100)
    for name in "abc":
        kept.add(name, name * 2, 40)
    assert kept.take() == [["a", None], ["b", "bb"], ["c", "cc"]]
    kept.add("c", "cc", 40)
    assert kept.take() == [], "nothing new"
    kept.add("b", "BB", 50)
    assert kept.take() == [["b", "BB"]]
    assert kept.whole() == [["c", "cc"], ["b", "BB"], ["a", None]]
    kept.add("a", "aa", 101)
    assert kept.whole() == [["c", None], ["b", None], ["a", None]], "none of it fits"
    assert kept.take() == []


class Asked:
    """An engine that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.prints: list[Any] = []

    def info(self, _what: str) -> Any:
        return list(self.prints)

    def survey(self, what: str, _limit: int, _timeout: float) -> Survey:
        self.asked.append(what)
        return Survey([], [])


def test_more_is_asked_for_when_there_may_be_more() -> None:
    watched, engine = Watched(BEGIN), Asked()
    telling = Telling(watched)

    def ask(now: float) -> Any:
        engine.asked.clear()
        return telling.ask(engine, now, 10)  # type: ignore[arg-type]

    assert ask(0.0) == More(None, None, None)
    assert engine.asked == [], "nothing has changed"
    telling.note([task("1.1", 1, 2)])
    assert ask(AGAIN_SECONDS / 2) is None, "too soon"
    assert ask(1.0) == More([], None, [])
    assert engine.asked == ["tasks", "sources"]
    engine.prints = [(7, "line", None)]
    assert ask(2.0) == More(None, engine.prints, None)
    telling.note([task("1.2", 1, 2)])
    ask(3.0)
    assert engine.asked == ["tasks"], "its function is known"
    telling.note([task("1.3", 1, 2, name="g")])
    ask(4.0)
    assert engine.asked == ["tasks", "sources"], "a new one"
    telling.note([task("1.4", 1, 2)])
    ask(4.0 + SOURCE_SECONDS)
    assert engine.asked == ["tasks", "sources"], "it may have been defined anew"


def test_what_comes_later_is_learned_once() -> None:
    watched = Watched(1_000 * MS)  # as that of `row`
    telling = Telling(watched)
    plain = row(1)
    watched.hear([Told(DRIVER, 7, True, {"finished": [], "dropped": 0, "pending": [],
                                         "rows": [plain]})])  # fmt: skip
    assert list(watched.marks) == ["1.1"]

    def learned(*rows: Any) -> list[Any]:
        return telling.hear(More([Told(DRIVER, 7, True, list(rows)), Told(WORKER, 8, False, None)],
                                 None, None))  # fmt: skip

    assert learned(plain) == [], "nothing that is not known"
    named = (*plain[:10], "Pool.map f [0:5]")
    (better,) = learned(named)
    assert better.full_name == "Pool.map f [0:5]"
    assert learned(named) == []
    fetched = (*plain[:6], 1_020 * MS, *plain[7:])
    (better,) = learned(fetched, row(2))
    assert better.part_ns("fetch") == 13 * MS
    assert watched.marks["1.1"] == better
    assert learned(fetched) == []
    early = (*row(3)[:6], 1_020 * MS, *row(3)[7:])
    assert learned(early) == [], "not heard of yet, or one of too many"
    assert len(telling._learned) == 1, "and not remembered"
    watched.hear([Told(DRIVER, 7, True, {"finished": [], "dropped": 0, "pending": [],
                                         "rows": [row(3)]})])  # fmt: skip
    assert [each.id for each in learned(early)] == ["1.3"]


def test_details_of_many_tasks_are_bounded() -> None:
    run = recording(
        *(task(f"1.{n}", n, n + 1, name=f"f{n}") for n in range(1, 1_001)),
        sources={f"f{n}": Source("f.py", 1, "x" * 3_900) for n in range(1, 1_001)},
        prints={f"1.{n}": ("y" * 79,) * 3 for n in range(1, 1_001)},
    )
    frame = Frames(*_frames(run)).whole(BEGIN)
    assert len(json.dumps(frame["tasks"])) < 200_000, "200 bytes a task"
    for what in ("prints", "sources"):
        there = [each for each in frame[what] if each[1] is not None]
        assert len(frame[what]) == 1_000
        assert 20 < len(there) < 1_000
        assert there[-1][0] in ("1.1000", "f1000"), "the newest"
        assert len(json.dumps(there)) < 1.1 * KEPT_BYTES


def _frames(run: Recording) -> tuple[Watched, Palette, Telling]:
    watched, telling = telling_of(run)
    return watched, Palette(), telling


@pytest.mark.slow
def test_a_session_tells_while_a_task_runs(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, dict[str, Any]] = {"errors": {}, "prints": {}, "sources": {}}

    class Page:
        lock = threading.RLock()

        def __init__(self, kind: str, whole: Any, beside: Any) -> None:
            self.send(whole())

        def send(self, frame: Any) -> None:
            for what, known in told.items():
                known.update(frame[what])

        def close(self, picture: Any) -> None:
            pass

    @paralab.remote
    class Gate:
        def __init__(self) -> None:
            self.opened = threading.Event()

        def open(self) -> None:
            self.opened.set()

        def wait(self) -> bool:
            return self.opened.wait(600)

    @paralab.remote
    def talks(gate: Any) -> bool:
        print("said <b>before</b>")  # noqa: T201
        return bool(paralab.get(gate.wait.remote()))

    @paralab.remote
    def breaks() -> None:
        raise ValueError("it broke")

    monkeypatch.setattr(view, "Place", Page)
    gate: Any = Gate.options(max_concurrency=2).remote()
    with live("timeline"):
        runs = talks.remote(gate)
        with pytest.raises(ValueError, match="it broke"):
            paralab.get(breaks.remote())
        # Lists, because the thread that tells goes on; and each may be told of before the others.
        eventually(lambda: "said <b>before</b>" in list(told["prints"].values()), 60.0)
        eventually(lambda: "it broke" in str(list(told["errors"].values())), 60.0)
        eventually(lambda: any(each.endswith("talks") for each in list(told["sources"])), 60.0)
        name = next(each for each in list(told["sources"]) if each.endswith("talks"))
        assert "def talks(gate: Any)" in told["sources"][name][2]
        paralab.get(gate.open.remote())
        assert paralab.get(runs, timeout=60)


@pytest.mark.slow
def test_names_that_mean_something_in_javascript_are_names() -> None:
    names = ["__proto__", "constructor", "toString", "a.__proto__", "</script><b>"]
    run = recording(
        *(task(f"1.{n}", n, n + 1, name=name) for n, name in enumerate(names, 1)),
        sources={name: Source("f.py", n, name) for n, name in enumerate(names)},
    )
    watched, telling = telling_of(run)
    told = page_says(Frames(watched, Palette(), telling).whole(BEGIN), TOLD)
    assert [facts["task"] for facts, _ in told] == [
        f"{n} (1.{at})" for at, n in enumerate(names, 1)
    ]
    assert [source["text"] for _, source in told] == names
