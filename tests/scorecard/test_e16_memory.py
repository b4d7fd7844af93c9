"""E16: a task that eats all memory.  The node lives, others go on, the error says who had what."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

import paralab
from leak_check import wait_ended
from paralab import limits
from paralab.exceptions import OutOfMemoryError

STEP = 4 << 20


@paralab.remote
def eat(log: str) -> None:
    """Eats for ever; notes after each bite when that was."""
    held = []
    block = b"x" * STEP
    with open(log, "w") as file:
        while True:
            held.append(bytearray(block))
            file.write(f"{time.monotonic()}\n")
            file.flush()


@paralab.remote
def square(x: int) -> int:
    return x * x


@pytest.mark.slow
def test_a_task_that_eats_all_memory(scorecard: Any, shutdown_after: None, tmp_path: Path) -> None:
    limit = 2_000_000_000 if scorecard.full else 200_000_000
    paralab.init(num_cpus=2, _system_config={"memory_limit_bytes": limit})
    log = tmp_path / "crossed"
    paralab.get([square.remote(n) for n in range(4)])
    others_use = sum(map(limits.proportional_memory, limits.descendants(os.getpid())))
    near = int(0.9 * limit) - others_use  # the threshold is 0.95
    hungry = eat.remote(str(log))
    others = [square.remote(n) for n in range(2_000)]
    with pytest.raises(OutOfMemoryError) as caught:
        paralab.get(hungry)
    bites = log.read_text().splitlines()
    # Where others have grown meanwhile, it is killed before: then from its last bite.
    seconds = time.monotonic() - float(bites[min(near // STEP, len(bites)) - 1])
    text = str(caught.value)
    killed = re.search(r"process (\d+), which held ([\d,]+) MB for task (eat:|\? )", text)
    assert killed is not None, text
    assert f"/ {limit / 1e9:.2f}GB limit" in text
    assert "not tried again" in text
    assert paralab.get(others) == [n * n for n in range(2_000)]
    assert paralab.get(square.remote(3)) == 9
    assert wait_ended(int(killed[1]), 60)
    peer = "Ray 2.60, as documented: tries again without end"
    scorecard.figure(
        "E16",
        "from 0.9 of the limit to the error, threshold 0.95",
        round(seconds, 3),
        "s",
        peer,
        short="{} from 0.9 of the limit to the error",
    )
    megabytes = int(killed[2].replace(",", ""))
    scorecard.figure("E16", f"held when killed, limit {limit // 10**6} MB", megabytes, "MB")
