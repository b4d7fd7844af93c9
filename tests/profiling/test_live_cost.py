"""What live views cost is measured by a helper; a page is told at most ten things a second."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab_profiling import LiveCosts, live, live_cost
from paralab_profiling.live import cost, view
from paralab_profiling.live.__main__ import main
from paralab_profiling.live.cost import LiveCost
from paralab_profiling.live.watcher import LEAST_SECONDS


class Page:
    """A page that notes when it is told something."""

    def __init__(self, kind: str, whole: Any, beside: Any) -> None:
        self.lock = threading.RLock()
        self.times: list[float] = []

    @property
    def sent(self) -> int:
        return len(self.times)

    def send(self, frame: Any) -> None:
        self.times.append(time.monotonic())

    def close(self, picture: Any) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timeline", "overhead"])
def test_a_page_is_told_at_most_ten_times_a_second(
    runtime: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(view, "Place", Page)
    ends = threading.Event()

    @paralab.remote
    def one(number: int) -> int:
        return number

    def keep_busy() -> None:
        while not ends.is_set():
            paralab.get([one.remote(number) for number in range(50)])

    busy = threading.Thread(target=keep_busy)
    with live(kind) as found:
        busy.start()
        try:
            eventually(lambda: found.sent >= 6, 60.0)
        finally:
            ends.set()
            busy.join()
    page: Any = found._place
    gaps = [after - before for before, after in zip(page.times, page.times[1:], strict=False)]
    assert min(gaps) >= 0.99 * LEAST_SECONDS, (
        "however much changes, and a wait may end a tick early"
    )


@pytest.mark.slow
def test_live_cost_measures_pairs(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "Place", Page)
    with pytest.raises(RuntimeError, match=r"python -m paralab_profiling\.live"):
        live_cost()
    monkeypatch.setattr(cost, "has_widgets", lambda: True)
    found = live_cost(("timeline", "progress"), pairs=3, no_ops=40, tasks=4)
    assert [(row.kind, row.tasks, row.count) for row in found.rows] == [
        ("timeline", "no-ops", 40), ("progress", "no-ops", 40),
        ("timeline", "of 1 ms", 4), ("progress", "of 1 ms", 4),
    ]  # fmt: skip
    for row in found.rows:
        assert len(row.rates) == len(row.cpu) == 3
        assert min(row.rates) > 0
        assert row.sent <= row.seconds / LEAST_SECONDS + 3, "each begins with one"
    assert len(repr(found).splitlines()) == 6


def test_live_cost_refuses_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="timeline, graph, overhead, progress; got 'grpah'"):
        live_cost(("grpah",))
    for name in ("pairs", "no_ops", "tasks"):
        with pytest.raises(ValueError, match=f"at least 1 of {name}; got 0"):
            live_cost(**{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1 of kinds"):
        live_cost(())


def test_the_table_says_each_with_its_spread() -> None:
    row = LiveCost("timeline", "no-ops", 20_000, (0.9, 0.97, 1.02), (1.1, 1.04, 1.0), 30, 6.0)
    lines = repr(LiveCosts((row,))).splitlines()
    assert "medians of 3 pairs" in lines[0]
    assert lines[2] == ("timeline  20,000 no-ops   0.970 (0.900 to 1.02)     × 1.04          5.00")
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_measures_in_a_kernel_of_its_own() -> None:
    for package in ("nbclient", "ipykernel", "anywidget", "ipywidgets"):
        pytest.importorskip(package, reason=f"{package} is not installed: no live views")
    command = [sys.executable, "-m", "paralab_profiling.live", "--pairs", "1", "--no-ops", "100"]
    command += ["--tasks", "10", "--kind", "timeline"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    title, head, first, second = done.stdout.splitlines()
    assert title.endswith("medians of 1 pair")
    assert head.split()[:2] == ["view", "tasks"]
    assert first.split()[:3] == ["timeline", "100", "no-ops"]
    assert second.split()[:3] == ["timeline", "10", "of"]


def test_the_command_refuses_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--pairs", "0"])
    assert "at least 1 of pairs; got 0" in capsys.readouterr().err
