"""The overhead breakdown: parts that add up, the workers' time, and what batches would bring."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from hostile import PAYLOADS
from synthetic import BEGIN, MS, recording, task, wait

import paralab
from paralab_profiling import Recording, Task, overhead, take
from paralab_profiling.breakdown.drawing import RIGHT, left_of, segments
from paralab_profiling.breakdown.parts import (
    UNACCOUNTED,
    batching,
    function_parts,
    middle_half,
    worker_time,
)
from paralab_profiling.recording import PARTS


def stamped(task_id: str, at: float, name: str = "f", worker: int = 2, **lengths: float) -> Task:
    """A task whose parts have these lengths in ms, 0.1 for the rest, nothing in between."""
    parts = {part: lengths.get(part, 0.1) for part in PARTS}
    stamps, now = {"submitted": BEGIN + round(at * MS)}, at
    for part, (_start, end) in PARTS.items():
        now += parts[part]
        stamps[end] = BEGIN + round(now * MS)
    stamps |= {"ready": stamps["packed"], "leased": stamps["packed"]}
    stamps |= {"received": stamps["taken"], "returned": stamps["fetched"]}
    plain = task(task_id, 0, 1, name=name, worker=worker)
    fields = {at: getattr(plain, at) for at in Task.__dataclass_fields__}
    return Task(**fields | {"stamps": stamps})


def bars(svg: str) -> list[tuple[float, float, str, str]]:
    """x, width, fill and tip of each rectangle that has a tip."""
    found = []
    for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect"):
        tip = each.findtext("{http://www.w3.org/2000/svg}title")
        if tip:
            place = float(each.attrib["x"]), float(each.attrib["width"])
            found.append((*place, each.attrib["fill"], tip))
    return found


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter() if each.text]


def test_the_parts_of_a_function_add_up_to_its_figure() -> None:
    # Of eight tasks the middle half is 3, 4, 5 and 6 ms long in the function: 4.5 in the mean.
    whole = recording(*(stamped(f"1.{n}", 20 * n, run=n) for n in range(1, 9)))
    (row,) = function_parts(whole)
    assert (row.name, row.count, row.unfetched) == ("f", 8, 0)
    assert row.parts["run"] == pytest.approx(4.5 * MS)
    assert row.total_ns == pytest.approx(5.2 * MS)
    assert sum(row.parts.values()) + row.unaccounted_ns == pytest.approx(row.total_ns)
    assert [len(middle_half(whole.tasks[:n])) for n in (1, 3, 4, 8)] == [1, 3, 2, 4]


def test_what_no_stamp_covers_is_unaccounted() -> None:
    whole = stamped("1.1", 0, run=2)
    gap = {at: ns for at, ns in whole.stamps.items() if at != "taken"}
    fields = {at: getattr(whole, at) for at in Task.__dataclass_fields__}
    (row,) = function_parts(recording(Task(**fields | {"stamps": gap})))
    assert row.unaccounted_ns == pytest.approx(0.2 * MS), "transfer and unpickle"
    assert row.total_ns == pytest.approx(2.7 * MS)
    hatched = [bar for bar in bars(overhead(recording(Task(**fields | {"stamps": gap}))).svg)
               if bar[2].endswith("-hatch)")]  # fmt: skip
    assert "unaccounted: 200 µs" in hatched[0][3]


def test_bars_are_to_scale_and_add_up() -> None:
    rows = bars(overhead(recording(stamped("1.1", 0, run=5, queue=1, store=2))).svg)
    one = [bar for bar in rows if bar[3].startswith("f, ")]
    assert [tip.removeprefix("f, ") for _, _, _, tip in one] == [
        "pickle + submit: 200 µs",
        "queue (waiting in line): 1.00 ms",
        "transfer + unpickle: 200 µs",
        "run: 5.00 ms",
        "store: 2.00 ms",
        "fetch: 100 µs",
    ]
    left = left_of([])
    scale = (RIGHT - left) / 8.5
    assert [width + 1 for _, width, _, _ in one] == pytest.approx(
        [ms * scale for ms in (0.2, 1, 0.2, 5, 2, 0.1)], abs=0.11
    )
    assert one[0][0] == pytest.approx(left, abs=0.06)
    assert one[-1][0] + one[-1][1] + 1 == pytest.approx(RIGHT, abs=0.11)


def test_long_waits_are_cut_and_said() -> None:
    whole = recording(stamped("1.1", 0, run=1, queue=500))
    (row,) = function_parts(whole)
    pieces = {segment.name: segment for segment in segments(row)}
    assert pieces["queue"].cut
    assert pieces["queue"].width == pytest.approx(0.4)
    assert pieces["run"].width == pytest.approx(0.6 / 1.6)
    assert sum(piece.width for piece in pieces.values()) == pytest.approx(1)
    picture = overhead(whole)
    assert "a wait that is drawn shorter" in " ".join(picture.text.split())
    assert {"500 ms", "502 ms"} <= set(texts(picture.svg))


def test_the_workers_time_is_run_overhead_idle_and_unaccounted() -> None:
    # On one of two workers: 0.3 ms until it has it, 0.1 unpickle, 5 run, 0.1 store, 0.1 back.
    spent = worker_time(recording(stamped("1.1", 0, run=5, queue=0)))
    assert spent.wall_ns == 5.6 * MS
    assert spent.total_ns == pytest.approx(2 * 5.6 * MS)
    assert spent.idle_ns == pytest.approx(5.6 * MS), "the second worker"
    parts = {part: spent.part_ns(part) / MS for part in PARTS}
    assert parts == pytest.approx(dict.fromkeys(PARTS, 0.1) | {"run": 5, "queue": 0})
    assert spent.run_share == pytest.approx(5 / 11.2)


def test_a_worker_with_a_call_in_its_queue_is_not_idle() -> None:
    first, second = task("1.1", 1, 3, overhead=0), task("1.2", 5, 6, overhead=0, submitted=0.5)
    early = dict(second.stamps) | {"sent": BEGIN + 1 * MS, "received": BEGIN + 2 * MS}
    fields = {at: getattr(second, at) for at in Task.__dataclass_fields__}
    whole = recording(first, Task(**fields | {"stamps": early}), workers=1)
    spent = worker_time(whole)
    assert spent.part_ns(UNACCOUNTED) == 2 * MS, "from 3 to 5, not while the first one ran"
    assert spent.part_ns("run") == 3 * MS


def test_a_task_that_waits_does_not_run() -> None:
    outer = task("1.1", 0, 10, name="outer", overhead=0)
    inner = task("2.1", 4, 6, name="inner", worker=3, parent="1.1", owner=2, overhead=0)
    blocked = wait(3, 8, "2.1", process=2, parent="1.1")
    spent = worker_time(recording(outer, inner, blocked, workers=1))
    assert spent.of("outer")["run"] == 5 * MS
    assert spent.of("inner")["run"] == 2 * MS
    assert spent.idle_ns == 3 * MS
    assert spent.total_ns == 10 * MS


def test_calls_that_need_no_cpu_come_on_top() -> None:
    both = [task(f"1.{n}", 0, 4, worker=n, overhead=0) for n in (2, 3)]
    spent = worker_time(recording(*both, workers=1))
    assert spent.total_ns == spent.part_ns("run") == 8 * MS
    assert "and 4.00 ms of calls that ran beside them" in overhead(recording(*both, workers=1)).text


def fine(count: int = 400, run: float = 0.1) -> Recording:
    """Small tasks on one worker, one after the other, with 0.1 ms each to unpickle and store."""
    step = run + 0.2
    calls = [
        task(f"1.{n}", 1 + n * step, 1 + n * step + run, name="clean", submitted=0)
        for n in range(count)
    ]
    return Recording(tuple(calls), workers=1)


def test_batches_are_computed_from_the_figures() -> None:
    whole = fine()
    better = batching(whole, worker_time(whole))
    assert better is not None
    assert better.run_ns == pytest.approx(0.1 * MS)
    assert better.overhead_ns == pytest.approx(0.2 * MS, rel=0.02)
    assert better.per_batch == 20, "18 would make it 90 %"
    assert better.share_then == pytest.approx(2 / 2.2, abs=0.002)
    assert better.saved_ns == pytest.approx(400 * 0.2 * 0.95 * MS, rel=0.02)
    words = " ".join(overhead(whole).text.split())
    assert "At 100 µs a task, about 20 per batch would bring that to 91 %." in words
    assert "Predicted, if the 20" in words


def test_batches_leave_enough_of_them_for_the_workers() -> None:
    whole = fine(24)
    better = batching(whole, worker_time(whole))
    assert better is not None
    assert better.per_batch == 6
    few = fine(7)
    assert batching(few, worker_time(few)) is None
    heavy = [replace(each, bytes_out=200_000) for each in fine()]
    assert batching(recording(*heavy, workers=1), worker_time(fine())) is None
    large = fine(run=5)
    assert batching(large, worker_time(large)) is None
    assert "No function loses much" in overhead(large).text


def test_the_title_is_the_finding() -> None:
    title = overhead(fine()).title
    assert title == "Your functions had 33 % of the workers' time, transfer + unpickle 33 %"
    assert overhead(recording()).text == "No task has ended yet\nnone has ended"


def test_the_table_has_all_parts() -> None:
    picture = overhead(fine())
    assert list(picture.head) == ["function", "tasks", *PARTS, "unaccounted", "idle", "total"]
    assert [row[:2] for row in picture.rows] == [("clean", "400"), ("all workers", "400")]
    assert all(len(row) == len(picture.head) for row in picture.rows)
    assert all(len(line) <= 80 for line in picture.text.splitlines())


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_are_text_and_never_markup(name: str) -> None:
    picture = overhead(recording(stamped("1.1", 0, name=name)))
    ET.fromstring(picture.svg)
    assert picture.to_html().count("<script>") == 1
    assert "<script>alert" not in picture.svg
    assert not {*"\x00\x1b\x07\x9b\r"} & {*picture.text, *picture.to_html()}


def test_ten_thousand_tasks_of_a_hundred_functions_stay_small() -> None:
    many = [stamped(f"1.{n}", n / 10, name=f"f{n % 100}", worker=2 + n % 2) for n in range(10_000)]
    picture = overhead(recording(*many))
    assert len(picture.to_html()) < 100_000
    assert "+ 94 more functions, in the table" in texts(picture.svg)
    assert picture.rows[-2][0] == "+ 40 more"


def test_a_real_session(runtime: Any) -> None:
    @paralab.remote
    def work(x: int) -> int:
        return sum(range(x))

    assert len(paralab.get([work.remote(50_000) for _ in range(20)])) == 20
    whole = take()
    spent = worker_time(whole)
    (row,) = function_parts(whole)
    assert sum(row.parts.values()) == pytest.approx(row.total_ns, abs=1)
    assert spent.total_ns == pytest.approx(2 * spent.wall_ns, rel=1e-6)
    assert spent.part_ns("run") == sum(task.run_ns for task in whole)
    assert "× 20" in texts(overhead(whole).svg)
