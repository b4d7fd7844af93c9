"""Tasks that wait for tasks: how deep, and with how many processes.

In full size these are a row of the scorecard, E13.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import paralab
from paralab.engine import current
from paralab.process.session import start_session
from scorecard_tasks import deep, fib

pytestmark = pytest.mark.slow


@paralab.remote
def parent(n: int) -> int:
    return sum(paralab.get([leaf.remote(i) for i in range(n)]))


@paralab.remote
def leaf(n: int) -> int:
    return n


@pytest.fixture
def limited(shutdown_after: None) -> Iterator[Callable[[int], None]]:
    """Starts a session that may have so many worker processes."""

    def start(limit: int) -> None:
        start_session(num_cpus=2, process_limit=limit)

    yield start
    engine = current()
    engine.shutdown()
    paralab.shutdown()


def workers() -> int:
    return len(current().info("workers"))


def test_a_chain_takes_a_process_a_level(runtime: object) -> None:
    assert paralab.get(deep.remote(40)) == 40
    assert workers() <= 48


def test_many_parents_that_wait_take_few_processes(runtime: object) -> None:
    assert paralab.get([parent.remote(5) for _ in range(40)]) == [10] * 40
    assert workers() <= 64


def test_recursion_takes_processes_by_its_depth(runtime: object) -> None:
    ref = fib.remote(13)
    most = 0
    while paralab.wait([ref], timeout=0.05)[1]:
        most = max(most, workers())
    assert paralab.get(ref) == 233
    assert most <= 40


def test_beyond_the_limit_an_error_names_the_chain(limited: Callable[[int], None]) -> None:
    limited(12)
    with pytest.raises(paralab.exceptions.ProcessLimitError, match=r"deep → .*deep → .*deep"):
        paralab.get(deep.remote(30))
    assert paralab.get(leaf.remote(7)) == 7


def test_a_task_lends_its_cpu_until_the_last_of_its_threads_goes_on(
    shutdown_after: None, tmp_path: Path
) -> None:
    paralab.init(num_cpus=1)
    gate, told = str(tmp_path / "gate"), str(tmp_path / "told")
    os.mkfifo(gate)
    os.mkfifo(told)

    @paralab.remote
    def read() -> str:
        return Path(gate).read_text()

    @paralab.remote(num_cpus=0.5)
    def twice(text: str) -> str:
        return 2 * text

    @paralab.remote
    def outer() -> str:
        second = twice.remote(read.remote())
        with ThreadPoolExecutor(1) as threads:
            late = threads.submit(paralab.get, second)
            paralab.get(leaf.options(num_cpus=0).remote(1))
            # This thread goes on, and what the other one waits for still needs the CPU.
            Path(told).write_text("x")
            return late.result()

    ref = outer.remote()
    Path(told).read_text()
    Path(gate).write_text("a")
    assert paralab.get(ref, timeout=60) == "aa"
