"""E6: twice the store's capacity, every hash right; then a disk that is full."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paralab
from paralab.engine import current
from paralab.exceptions import OutOfDiskError

MB = 1 << 20
SMALL = 110 << 10


def made(seed: int, size: int) -> np.ndarray[Any, Any]:
    # The generator takes longer than the hash, so a part is repeated.
    part = np.random.default_rng(seed).integers(0, 256, MB // 16, dtype=np.uint8)
    return np.resize(part, size)


def digest(array: Any) -> bytes:
    return hashlib.blake2b(array, digest_size=16).digest()


@paralab.remote
def node() -> int:
    return os.getppid()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twice_the_capacity_then_a_full_disk(
    scorecard: Any, tmp_path: Path, shutdown_after: None
) -> None:
    capacity = (2 << 10 if scorecard.full else 128) * MB
    paralab.init(num_cpus=2, object_store_memory=capacity, object_spilling_directory=str(tmp_path))
    large = capacity // 16
    make, hash_there = paralab.remote(made), paralab.remote(digest)
    sizes = [large] * 24 + [SMALL] * (capacity // 2 // SMALL)
    begun = time.perf_counter()
    refs = [
        make.remote(seed, size) if seed % 2 else paralab.put(made(seed, size))
        for seed, size in enumerate(sizes)
    ]
    paralab.wait(refs, num_returns=len(refs))
    put = time.perf_counter() - begun
    begun = time.perf_counter()
    there = paralab.get([hash_there.remote(ref) for ref in refs])
    here = [digest(paralab.get(ref)) for ref in refs]
    got = time.perf_counter() - begun
    wanted = [digest(made(seed, size)) for seed, size in enumerate(sizes)]
    assert there == wanted
    assert here == wanted
    stored = f"{sum(sizes) >> 20:,} MiB in a store of {capacity >> 20:,} MiB"
    scorecard.figure(
        "E6", f"{stored}: all made, by put and by tasks", round(put, 1), "s", short="written in {}"
    )
    scorecard.figure(
        "E6",
        f"{stored}: all read twice, every hash right",
        round(got, 1),
        "s",
        short="read twice, every hash right, in {}",
    )

    pid = paralab.get(node.remote())
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    del refs[: len(refs) // 2]
    in_store = refs[-3:]
    for ref in in_store:
        paralab.get(ref)  # so that it is in the store
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (MB // 2, hard))
    more: list[Any] = []
    with pytest.raises(OutOfDiskError) as caught:
        more.extend(paralab.put(made(seed, large)) for seed in range(64))
    for seed, ref in enumerate(more):
        assert digest(paralab.get(ref)) == digest(made(seed, large))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    left = len(sizes) - len(refs)
    assert [digest(paralab.get(ref)) for ref in refs] == wanted[left:]
    scorecard.figure(
        "E6", "a full disk: error", type(caught.value).__name__, short="then {}, nothing lost"
    )
    assert current().info("store")["spilled_objects"] > 0
