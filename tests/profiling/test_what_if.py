"""Where a recorded run would flatten: figures, words and the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from synthetic import MS, pending, recording, task, wait

import paralab
from paralab_profiling import WhatIf, take, what_if


def rows(count: int = 8) -> WhatIf:
    """``count`` tasks of 10 ms on two workers, without overhead."""
    tasks = [
        task(f"{n}", n // 2 * 10, n // 2 * 10 + 10, submitted=0, worker=2 + n % 2, overhead=0)
        for n in range(count)
    ]
    return what_if(recording(*tasks, wait(0, count * 5, "0")))


def test_the_figures() -> None:
    found = rows()
    assert (found.workers, found.tasks) == (2, 8)
    assert found.measured == pytest.approx(0.04)
    assert found.work == pytest.approx(0.08)
    assert found.span == pytest.approx(0.01)
    expected = {1: 80, 2: 40, 4: 20, 8: 10, 16: 10, 32: 10, 64: 10}
    assert {at: ms * 1e3 for at, ms in found.seconds.items()} == pytest.approx(expected)
    assert found.off == pytest.approx(0, abs=1e-9)
    assert found.title == "It would flatten near 8 workers, at 10.0 ms"
    assert rows(2).title == "More than 2 workers would hardly help"
    assert rows(200).title == "It would still grow at 64 workers"


def test_the_picture_and_the_text() -> None:
    found = rows()
    picture = found.picture
    words = [e.text for e in ET.fromstring(picture.svg).iter() if e.text]
    assert {"replayed", "ideal", "critical path: 8.00", "measured 40.0 ms"} <= set(words)
    assert picture.rows[3] == ("8", "10.0 ms", "8.00", "100 %")
    assert "      8    10.0 ms         8.00" in picture.text
    assert all(len(line) <= 80 for line in picture.text.splitlines())
    assert len(picture.to_html()) < 300_000


def test_nothing_ran() -> None:
    for run in (recording(), recording(pending("1", 0))):
        found = what_if(run)
        assert found.title == "No task has been recorded"
        ET.fromstring(found.picture.svg)
        assert found.picture.rows == []


def test_saving(tmp_path: Path) -> None:
    data = json.loads(rows().save(tmp_path / "a.json").read_text())
    assert data["replayed_seconds"]["8"] == pytest.approx(0.01)
    assert (tmp_path / "a.json").stat().st_size > 100


def test_ten_thousand_tasks() -> None:
    tasks = [
        task(
            *(f"{n}", n * 0.1, n * 0.1 + 0.1),
            submitted=0, ready=n * 0.1, overhead=0, needs=[f"{n - 1}"],
        )
        for n in range(10_000)
    ]  # fmt: skip
    found = what_if(recording(*tasks, wait(0, 1_000, "9999")), [2])
    assert found.replays[0].total_ns == pytest.approx(1_000 * MS)
    assert len(found.picture.to_html()) < 300_000


def test_a_real_run(runtime: Any) -> None:
    @paralab.remote
    def twice(x: int) -> int:
        return 2 * x

    paralab.get([twice.remote(n) for n in range(10)])
    found = what_if(take())
    assert found.tasks == 10
    assert list(found.seconds) == [1, 2, 4, 8, 16, 32, 64]
    assert all(seconds > 0 for seconds in found.seconds.values())
