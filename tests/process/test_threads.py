"""A task's numeric libraries use as many threads as the task has CPUs."""

from __future__ import annotations

from typing import Any

import pytest

import paralab


def blas_threads() -> list[int]:
    """What the loaded OpenBLAS says of itself."""
    import ctypes

    import numpy  # noqa: F401, ICN001

    found = []
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "openblas" in line}
    for path in paths:
        library = ctypes.CDLL(path)
        for name in ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_"):
            if hasattr(library, name):
                found.append(int(getattr(library, name)()))
                break
    return found


def test_as_many_threads_as_cpus(session: Any) -> None:
    pytest.importorskip("numpy")
    task = paralab.remote(blas_threads)
    one = paralab.get(task.remote())
    if not one:
        pytest.skip("NumPy is not built on an OpenBLAS that can be asked")
    assert one == [1]
    assert paralab.get(task.options(num_cpus=2).remote()) == [2]
    assert paralab.get(task.remote()) == [1]
