"""How often a process may run a function, and attempts."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def processes(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("there is one process")


def test_a_process_runs_a_function_so_often(rt: Any) -> None:
    @rt.remote(max_calls=2, max_retries=0)
    def pid() -> int:
        return os.getpid()

    assert set(Counter(rt.get(pid.remote()) for _ in range(6)).values()) <= {1, 2}
    pids = Counter(rt.get([pid.options(name="other").remote() for _ in range(20)]))
    assert max(pids.values()) <= 2, "options() keeps it"


def test_nothing_is_lost(rt: Any) -> None:
    @rt.remote(max_calls=1, max_retries=0)
    def make(n: int) -> Any:
        return [rt.put(n), double.remote(n)]

    @rt.remote
    def double(n: int) -> int:
        return 2 * n

    made = rt.get([make.remote(n) for n in range(6)])
    assert [rt.get(refs) for refs in made] == [[n, 2 * n] for n in range(6)]


def test_a_function_that_raises_counts_too(rt: Any) -> None:
    @rt.remote(max_calls=1, max_retries=0)
    def fail() -> None:
        raise LookupError(os.getpid())

    pids = []
    for _ in range(3):
        with pytest.raises(LookupError) as caught:
            rt.get(fail.remote())
        pids.append(str(caught.value.cause))
    assert len(set(pids)) == 3


def test_attempts(rt: Any, tmp_path: Path) -> None:
    """``max_retries`` counts the attempts after the first one."""

    @rt.remote
    def crash(path: str, until: int) -> int:
        with open(path, "a") as file:
            file.write("x")
        if os.path.getsize(path) < until:
            os._exit(1)
        return os.path.getsize(path)

    assert rt.get(crash.options(max_retries=2).remote(str(tmp_path / "a"), 3)) == 3
    with pytest.raises(rt.exceptions.WorkerCrashedError):
        rt.get(crash.options(max_retries=1).remote(str(tmp_path / "b"), 3))
    assert (tmp_path / "b").read_text() == "xx"
    with pytest.raises(rt.exceptions.WorkerCrashedError):
        rt.get(crash.options(max_retries=0).remote(str(tmp_path / "c"), 2))
    assert rt.get(crash.options(max_retries=-1).remote(str(tmp_path / "d"), 6)) == 6


def test_attempts_of_what_raises(rt: Any, tmp_path: Path) -> None:
    @rt.remote
    def fail(path: str, until: int) -> int:
        with open(path, "a") as file:
            file.write("x")
        if os.path.getsize(path) < until:
            raise KeyError(path)
        return os.path.getsize(path)

    retried = fail.options(max_retries=-1, retry_exceptions=[LookupError])
    assert rt.get(retried.remote(str(tmp_path / "a"), 5)) == 5
    with pytest.raises(KeyError):
        rt.get(fail.options(max_retries=1, retry_exceptions=True).remote(str(tmp_path / "b"), 3))
    assert (tmp_path / "b").read_text() == "xx"
    with pytest.raises(KeyError):
        rt.get(fail.options(max_retries=5).remote(str(tmp_path / "c"), 2))
    assert (tmp_path / "c").read_text() == "x"
