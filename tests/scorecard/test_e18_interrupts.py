"""E18: SIGINT at random moments in all that a driver does: the next get works, nothing is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from program import program

from interrupt_storm import STEPS, stormy


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", STEPS)
def test_interrupts_at_any_moment_lose_nothing(what: str, scorecard: Any) -> None:
    count, seeds = (100, 3) if scorecard.full else (20, 1)
    start = time.perf_counter()
    for seed in range(1, seeds + 1):
        with program(stormy(what, seed, count)) as driver:
            assert driver.end(100) == (0, f"fine {count}\n", ""), f"seed {seed}"
    seconds = round(time.perf_counter() - start, 2)
    times = f"{seeds} × " if seeds > 1 else ""
    scorecard.figure(
        "E18",
        f"{times}{count} interrupts in {what}, nothing lost",
        seconds,
        "s",
        short=f"{times}{count} in each of {len(STEPS)} kinds of calls: nothing lost",
    )
