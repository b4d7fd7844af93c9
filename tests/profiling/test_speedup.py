"""Speed-ups: figures in closed form, what is said and drawn, and a short real measurement."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from process_helpers import eventually
from synthetic import BEGIN, MS, recording, task, wait

import paralab
from paralab_profiling import Recording, Speedup, aggregate, speedup
from paralab_profiling.scaling.model import Block, Model, Size, alone_ns, size_of

pytestmark = pytest.mark.slow

MODEL = Model(
    tasks=100, work=1.0, span=0.05, on_worker=0.002, in_driver=0.001, latency=0.004, serial=0.01
)


def test_the_prediction_is_the_largest_of_its_bounds() -> None:
    assert MODEL.seconds(1) == pytest.approx((1.0 + 100 * 0.002) + 0.004)
    assert MODEL.seconds(4) == pytest.approx(1.2 / 4 + 0.004)
    assert MODEL.seconds(64) == pytest.approx(100 * 0.001 + 0.004), "the driver"
    free = Model(100, 1.0, 0.05, 0.0, 0.0, 0.0, 0.0)
    assert free.seconds(64) == pytest.approx(0.05), "the longest task"
    assert free.amdahl(64) == pytest.approx(64)


def test_break_even_is_where_both_ways_take_the_same() -> None:
    even = MODEL.break_even(2)
    assert even is not None
    work = 100 * even
    there = Model(100, work, even, 0.002, 0.001, 0.004, 0.0)
    assert there.seconds(2) == pytest.approx(work)
    driver_bound = Model(100, 1.0, 0.01, 0.0001, 0.005, 0.0, 0.0)
    assert driver_bound.break_even(64) == pytest.approx(0.005)
    assert MODEL.break_even(1) is None


def test_amdahl() -> None:
    assert MODEL.serial_share == pytest.approx(0.01 / 1.01)
    share = MODEL.serial_share
    # The textbook form, for a program that takes work + serial on one worker.
    textbook = 1 / (share + (1 - share) / 64)
    assert MODEL.amdahl(64) == pytest.approx(textbook / 1.01)


def one_run(tasks: int, workers: int, at: float, ms: float = 10) -> tuple[list[Any], Block]:
    """Equal tasks in rows on ``workers``, without overhead, 1 ms of the driver before and after."""
    rows = -(-tasks // workers)
    parts: list[Any] = [
        task(
            f"{at}.{n}",
            at + 1 + n // workers * ms,
            at + 1 + (n // workers + 1) * ms,
            submitted=at + 1,
            worker=2 + n % workers,
            overhead=0,
        )
        for n in range(tasks)
    ]
    end = at + rows * ms + 2
    parts.append(wait(at + 1, end - 1, f"{at}.0"))
    return parts, (round(BEGIN + at * MS), round(BEGIN + end * MS))


def measured(tasks: int = 40, ms: float = 10, local: float = 0.4) -> Size:
    """Three pairs on one and on two workers."""
    parts: list[Any] = []
    blocks: dict[int, list[Block]] = {1: [], 2: []}
    at = 0.0
    for _ in range(3):
        for workers in (1, 2):
            found, block = one_run(tasks, workers, at, ms)
            parts += found
            blocks[workers].append(block)
            at += tasks * ms + 100
    return size_of(recording(*parts), [local] * 3, blocks, tasks)


def test_the_figures_of_a_made_up_run() -> None:
    size = measured()
    one, two = size.points
    assert one.gain.middle == pytest.approx(400 / 402)
    assert two.gain.middle == two.gain.low == two.gain.high == pytest.approx(400 / 202)
    assert two.efficiency == pytest.approx(400 / 202 / 2)
    assert two.gain.count == 3
    assert (one.replay_off, two.replay_off) == pytest.approx((0, 0), abs=1e-9)
    assert size.curve == pytest.approx(
        {p: (2 + 10 * -(-40 // p)) / 1e3 for p in (1, 2, 4, 8, 16, 32, 64)}
    )
    assert size.model.work == 0.4
    assert size.model.span == pytest.approx(0.010)
    assert size.model.serial == pytest.approx(0.002)
    assert size.flat_from is None
    assert two.prediction_off == pytest.approx(200 / 202 - 1)


def test_only_the_driver_could_work() -> None:
    run: Recording = recording(
        task("a", 10, 20, submitted=5, overhead=0),
        task("b", 40, 50, submitted=35, overhead=0),
        wait(12, 20, "a"),
        wait(36, 50, "b"),
    )
    block = BEGIN, BEGIN + 60 * MS
    # a is under way from 10 to 20, b from 40 to 50, and the driver waits for it from 36 on.
    assert alone_ns(run, block) == (10 + 16 + 10) * MS
    assert alone_ns(recording(), block) == 60 * MS


def test_it_is_found_where_it_would_flatten() -> None:
    assert measured(tasks=4).flat_from == 4
    result = Speedup("f", (measured(tasks=4, local=0.04),), 2)
    assert result.title == "1.82 × faster on 2 workers; it would flatten near 4"
    slow = Speedup("f", (measured(tasks=1, local=0.001),), 2)
    assert slow.title == "12.0 × slower on 2 workers; no number of workers would pay"
    assert Speedup("f", (measured(),), 2).title.endswith("it would still grow at 64")


def result() -> Speedup:
    return Speedup("f", (measured(),), 2)


def test_the_text_has_all_the_figures_in_80_columns() -> None:
    text = repr(result())
    assert "f: 40 calls of 10.0 ms, local 400 ms" in text
    assert "between 1.98 and 1.98 (95 %) in 3 pairs of runs" in text
    assert re.search(r"^ +2  1\.98 \(1\.98 to 1\.98\) +99 % +2\.00 +1\.98$", text, re.MULTILINE)
    assert re.search(r"^ +64 +33\.3$|^ +64 .* 33\.3$", text, re.MULTILINE)
    assert "Critical path 10.0 ms: 40.0 with any number of workers." in text
    offs = " ".join(text.splitlines()[-2:])
    assert "The replay's time against the measured: the same at 1, the same at 2." in offs
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_curve_is_where_its_figures_are() -> None:
    picture = result().curve()
    root = ET.fromstring(picture.svg)
    dots = [e for e in root.iter() if e.get("class") == "measured"]
    # From x = 60 for 1 to 590 for 64 workers, from y = 296 for 0.5 to 60 for 64 times.
    assert [float(e.attrib["cx"]) for e in dots] == pytest.approx([60, 60 + 530 / 6], abs=0.1)
    assert float(dots[1].attrib["cy"]) == pytest.approx(296 - 236 * (0.9857 + 1) / 7, abs=0.1)
    words = [e.text for e in root.iter() if e.text]
    assert "measured 1.98 (1.98 to 1.98)" in words
    assert {"ideal", "replayed", "critical path: 40.0", "Amdahl: 0.498 % serial"} <= set(words)
    ends = [float(e.attrib["y"]) for e in root.iter() if e.get("x") == "598.0"]
    assert all(abs(a - b) >= 13.9 for a in ends for b in ends if a != b)
    assert len(picture.rows) == 7


def test_against_the_size() -> None:
    sizes = (measured(tasks=4, local=0.02), measured(tasks=40))
    many = Speedup("f", tuple(size_with(s, n) for s, n in zip(sizes, (10, 1000), strict=True)), 2)
    picture = many.by_size()
    assert picture.title == "2 workers pay from size 1,000 on"
    assert [row[0] for row in picture.rows] == ["10", "1,000"]
    assert len(many.pictures()) == 3
    with pytest.raises(ValueError, match="two sizes at least"):
        result().by_size()


@pytest.mark.parametrize("local", [0.2, 2e-4, 2e-7])
def test_how_fast_is_written_inside_the_picture_however_slow_it_is(local: float) -> None:
    sizes = (measured(tasks=4, local=local), measured(tasks=40))
    many = Speedup("f", tuple(size_with(s, n) for s, n in zip(sizes, (10, 1000), strict=True)), 2)
    root = ET.fromstring(many.by_size().svg)
    labels = [e for e in root.iter() if e.get("class") == "s e"]
    words = [e.text or "" for e in labels]
    assert "1 ×" in words
    assert all(re.fullmatch(r"(1/)?[\d,]+ ×", word) for word in words)
    assert any(word.startswith("1/") for word in words) == (local < 0.1)
    assert len(labels) <= 10
    # 6.1 is a digit of the 11 px label.
    assert all(float(e.attrib["x"]) - 6.1 * len(e.text or "") >= 4 for e in labels)
    [even] = [e.text for e in root.iter() if "reak-even" in (e.text or "")]
    assert str(even).startswith("Predicted")


def size_with(size: Size, number: int) -> Size:
    from dataclasses import replace

    return replace(size, size=number)


def test_saving(tmp_path: Path) -> None:
    found = result()
    data = json.loads(found.save(tmp_path / "a.json").read_text())
    assert data == json.loads(json.dumps(found.to_dict()))
    assert data["sizes"][0]["points"][1]["speedup"] == pytest.approx(400 / 202)
    assert "<svg" in found.save(tmp_path / "a.svg").read_text()
    assert found.save(tmp_path / "a.html").read_text().count("<img") == 2
    with pytest.raises(ValueError, match=r"not '\.png'"):
        found.save(tmp_path / "a.png")


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_are_text(name: str) -> None:
    from paralab.shown_text import shown_name

    found = Speedup(shown_name(name), (measured(tasks=2),), 2)
    for picture in found.pictures():
        ET.fromstring(picture.svg)
        assert "<script>alert" not in picture.to_html()
        assert not re.search(r"<[^>]*\son\w+=", picture.svg)


@pytest.mark.slow
def test_ten_thousand_tasks_stay_small() -> None:
    found = Speedup("f", (measured(tasks=10_000, ms=0.1, local=1.0),), 2)
    assert len(found._repr_mimebundle_()["text/html"]) < 300_000


def test_tasks_that_were_forgotten_are_missed() -> None:
    parts, block = one_run(10, 2, 0)
    with pytest.raises(ValueError, match="of 20 tasks of a run the session remembers only 10"):
        size_of(recording(*parts), [0.1] * 3, {2: [block] * 3}, 20)


def square(x: int) -> int:
    return x * x


def test_measuring_on_a_real_session(runtime: Any) -> None:
    found = speedup(square, list(range(20)), repeats=3)
    (size,) = found.sizes
    assert [point.workers for point in size.points] == [1, 2]
    assert all(len(point.local) == len(point.remote) == 3 for point in size.points)
    assert [len(run.lanes) for run in size.remote_runs] == [2, 2, 2]
    assert {len(run.slices) for run in size.remote_runs} == {20}
    assert size.model.tasks == 20
    assert size.model.in_driver > 0
    assert found.name == "square"
    # What was set aside is free again, and so are the workers soon.
    eventually(lambda: paralab.available_resources().get("CPU") == 2.0, 60)


def test_one_worker_runs_one_task_at_a_time(runtime: Any) -> None:
    remote = paralab.remote(square)
    found = speedup(remote, lambda n: list(range(n)), sizes=[5, 10], workers=[1], repeats=3)
    assert [size.size for size in found.sizes] == [5, 10]
    assert {run.at_once for size in found.sizes for run in size.remote_runs} == {1}


def test_what_it_refuses(runtime: Any) -> None:
    with pytest.raises(ValueError, match="at least 3 repeats, not 2"):
        speedup(square, [1], repeats=2)
    with pytest.raises(ValueError, match=r"2 CPUs, so workers must be between 1 and 2, not \[3\]"):
        speedup(square, [1], workers=[3])
    with pytest.raises(ValueError, match="sizes= belongs"):
        speedup(square, [1], sizes=[2])
    with pytest.raises(ValueError, match="at least one input"):
        speedup(square, [])


def test_local_mode_is_refused(shutdown_after: None) -> None:
    paralab.init(local_mode=True)
    with pytest.raises(RuntimeError, match="local_mode runs all tasks in this process"):
        speedup(square, [1])
    with pytest.raises(RuntimeError, match="local_mode runs all tasks in this process"):
        aggregate(max, [1, 2])


def test_cpus_that_others_keep(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    @paralab.remote
    class Holder:
        def there(self) -> bool:
            return True

    holder: Any = Holder.options(num_cpus=2).remote()
    assert paralab.get(holder.there.remote())
    measuring = sys.modules["paralab_profiling.scaling.measuring"]
    monkeypatch.setattr(measuring, "PATIENCE", 0.05)
    with pytest.raises(RuntimeError, match="1 CPU could not be set aside"), measuring.set_aside(1):
        raise AssertionError("never begins")
