"""E5: a large array is put and got without a private copy."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paralab

MB = 1 << 20


def private() -> int:
    """Bytes of memory that this process has for itself alone, the store's not among them."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    found: int = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return found << 10


def looked(array: Any) -> tuple[int, int]:
    """Bytes of private memory that looking at all of it has cost, and its sum."""
    before = private()
    total = int(array[:: 4096 // 8].sum())
    return private() - before, total


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_readers_have_no_copy(scorecard: Any, shutdown_after: None) -> None:
    size = (8 << 10 if scorecard.full else 256) * MB
    paralab.init(num_cpus=1, object_store_memory=size + 64 * MB)
    there = paralab.remote(looked)
    paralab.get(there.remote(paralab.put(np.ones(MB))))
    array = np.arange(size // 8)
    ref = paralab.put(array)
    wanted = int(array[:: 4096 // 8].sum())
    del array
    before = private()
    mine = paralab.get(ref)
    assert int(mine[:: 4096 // 8].sum()) == wanted
    growth, total = paralab.get(there.remote(ref))
    assert total == wanted
    growth = max(growth, private() - before, 0)
    assert growth < size / 100
    percent = 100 * growth / size
    what = f"get of {size >> 20:,} MiB: growth of the reader's private memory"
    scorecard.figure("E5", what, round(percent, 3), "%", short=f"{{}} of {size >> 20:,} MiB")
