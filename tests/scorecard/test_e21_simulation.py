"""E21: thousands of whole sessions in one process each, seeded, with deaths at any message.

See ``tests/sim``.  A failing seed prints itself and the command that shows it alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SIM = Path(__file__).parent.parent / "sim"
REPORT = re.compile(r"(\d+) seeds, (\d+) steps, (\d+) messages, (\d+) deaths, ([\d.]+) s")
FIRST = 10_000
"""Others than those that ``tests/sim`` runs."""


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_every_ref_settles_once_and_nothing_is_left(scorecard: Any) -> None:
    """10,000 seeds in full size; else as many as two processes run in CI's time."""
    half, seconds = (5_000, 3_600.0) if scorecard.full else (2_500, 25.0)
    runs = [
        subprocess.Popen(
            [sys.executable, str(SIM), f"--seeds={first}:{first + half}", f"--seconds={seconds}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in (FIRST, FIRST + half)
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    found = [REPORT.search(text) for text in said]
    figures = [tuple(map(float, each.groups())) for each in found if each is not None]
    seeds, steps, messages, deaths, _ = map(sum, zip(*figures, strict=True))
    took = max(each[4] for each in figures)
    what = f"{seeds:,.0f} seeds, {steps:,.0f} steps, {messages:,.0f} messages, {deaths:,.0f} deaths"
    scorecard.figure(
        "E21",
        f"simulation, {what}: violations",
        0,
        peer="none found",
        short=f"{seeds:,.0f} seeds, {deaths:,.0f} deaths: {{}} rules broken",
    )
    scorecard.figure("E21", "simulation", round(seeds / took), "seeds/s")
